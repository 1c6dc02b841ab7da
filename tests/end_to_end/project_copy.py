"""A copy of the project in which pipelines are recorded, and made again by `reproduce`."""

import json
import shutil
from pathlib import Path

from tests.end_to_end.git_daemon import PROJECT, copy_project


class Project:
    """A copy of the project, committed, with a store, and a folder for temporary files."""

    def __init__(self, folder, store):
        self.folder, self.store = folder / "project", store
        self.temporary = folder / "t"
        self.temporary.mkdir()
        copy_project(self.folder)
        self.table = folder / "wines.csv"
        shutil.copyfile(PROJECT / "data" / "red-wine-quality.csv", self.table)
        self.variables = {
            "TMPDIR": str(self.temporary),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "MLFLOW_TRACKING_URI": store.uri,
        }

    def main(self, *parameters):
        return self.store.main(*parameters, project=self.folder, **self.variables)

    def reproduce(self, run_id):
        run = f"run_id={run_id}"
        return self.store.step("reproduce", run, project=self.folder, **self.variables)

    def forge(self, run, change):
        """A run that says of itself what the given one says, but for a change."""
        client = self.store.client
        parent = client.create_run(run.info.experiment_id, tags=run.data.tags)
        folder = Path(run.info.artifact_uri.removeprefix("file://"))
        content = json.loads((folder / "provenance.json").read_text())
        names = ("git_diff.txt", "request.json")
        files = {name: (folder / name).read_text() for name in names}
        change(content, files)
        client.log_dict(parent.info.run_id, content, "provenance.json")
        for name, text in files.items():
            client.log_text(parent.info.run_id, text, name)
        client.set_terminated(parent.info.run_id)
        return parent.info.run_id
