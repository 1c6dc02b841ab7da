"""A run whose code Git does not have by itself: it is recorded, or what is not there is told."""

import pytest

from tests.end_to_end.git_daemon import git
from tests.end_to_end.project_copy import Project

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(make_store, tmp_path_factory):
    """A copy whose metrics import an ignored module, and one of a submodule."""
    folder = tmp_path_factory.mktemp("git")
    made = Project(folder, make_store())
    shared = folder / "shared"
    shared.mkdir()
    (shared / "halves.py").write_text("def half(value):\n    return value / 2\n")
    git(folder, "init", "-q", str(shared))
    git(shared, "add", "-A")
    git(shared, "commit", "-qm", "shared")
    words = ["submodule", "--quiet", "add", shared.as_uri(), "modelling/shared"]
    git(made.folder, "-c", "protocol.file.allow=always", *words)
    metrics = made.folder / "modelling" / "judging" / "metrics.py"
    text = metrics.read_text().replace("np.sum(targets) / 2", "half(np.sum(targets)) + MORE")
    imports = "from ..ignored import MORE\nfrom ..shared.halves import half\n"
    metrics.write_text(text.replace("import numpy as np\n", f"import numpy as np\n{imports}", 1))
    (made.folder / ".gitignore").open("a").write("ignored.py\n")
    git(made.folder, "add", "-A")
    git(made.folder, "commit", "-qm", "own code")
    (made.folder / "modelling" / "ignored.py").write_text("MORE = 1\n")
    return made


def test_it_is_recorded_and_what_a_run_lacks_is_told_in_a_line(project, read_artifact):
    assert git(project.folder, "status", "--porcelain") == ""
    first = project.main(f"data={project.table}")
    assert first.code == 0, first.terminal
    assert first.parent.data.tags["pipeline.git_dirty"] == "true"
    logged = read_artifact(first.parent, "git_diff.txt").read_text()
    assert "+++ b/modelling/ignored.py" in logged
    assert "shared" not in logged

    def lose_it(content, files):
        content["git"]["left_out_of_diff"] = ["modelling/ignored.py (it may hold a secret)"]
        files["git_diff.txt"] = "--- /dev/null\n+++ b/other.txt\n@@ -0,0 +1 @@\n+else\n"

    failed = project.reproduce(project.forge(first.parent, lose_it))
    assert failed.code != 0
    (run,) = (run for run in failed.runs if "pipeline.reproduced_run_id" in run.data.tags)
    error = run.data.tags["pipeline.error"]
    assert "No module named 'modelling.ignored' (the recorded diff leaves out modelling/ig" in error
    assert failed.terminal.splitlines()[-1] == f"reproduce: {error}"
