"""Where a run comes from: the state of the code in Git, the environment, and the machine.

Nothing here writes to the user's repository, its index included.
"""

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import threadpoolctl

from common.secrets import why_secret, without_credentials
from common.tags import BLAS, CPU, PLATFORM, PYTHON, THREADS
from engine.cache.key import environment_versions

LARGEST_FILE = 1_000_000
LARGEST_DIFF = 10_000_000
_FROM_INPUT = ("--pathspec-from-file=-", "--pathspec-file-nul")


@dataclass(frozen=True)
class GitState:
    """The state of a project in its repository.

    commit: of HEAD; branch: None if none is checked out; remote: the URL of origin, or of the first
    remote, without credentials; folder: the project's, from the root of the repository (`.` for the
    root itself); changed and untracked: its files that are not as in the commit, from that root;
    with those of its code that Git does not look at (`engine.provenance.code_in_git`).
    """

    commit: str
    branch: str | None
    remote: str | None
    folder: str
    changed: tuple[str, ...]
    untracked: tuple[str, ...]

    @property
    def is_dirty(self) -> bool:
        """Whether the project is not as in the commit."""
        return bool(self.changed or self.untracked)


@dataclass(frozen=True)
class Provenance:
    """The code, the environment (versions by name, as of the step cache) and the machine (tags).

    no_git says why there is no git, or is empty.
    """

    git: GitState | None
    no_git: str
    environment: Mapping[str, str]
    machine: Mapping[str, str]

    def with_lock(self, project: Path, own_lock: Path | None) -> "Provenance":
        """Returns the same with an environment that is held against another lock too."""
        environment = environment_versions(project / "requirements.lock", own_lock)
        return replace(self, environment=environment)


def begin_provenance(project: Path) -> "Future[Provenance]":
    """Starts to find out, beside what else there is to do; ask the result when it is needed."""
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="provenance")
    future = executor.submit(read_provenance, project)
    executor.shutdown(wait=False)
    return future


def read_provenance(project: Path) -> Provenance:
    """Finds out where a run of the project, started here and now, would come from."""
    environment = environment_versions(project / "requirements.lock")
    git, no_git = None, ""
    try:
        git = read_git(project)
    except OSError as error:
        no_git = str(error)
    return Provenance(git, no_git, environment, machine_tags())


def machine_tags() -> dict[str, str]:
    """Returns the platform, Python, the CPU, the BLAS in use and its threads, as tags of a run."""
    pools = threadpoolctl.threadpool_info()
    blas = {
        f"{pool['internal_api']} {pool['version']} {pool.get('architecture') or ''}".rstrip()
        for pool in pools
        if pool["user_api"] == "blas"
    }
    threads = {f"{pool['internal_api']} {pool['num_threads']}" for pool in pools}
    return {
        PLATFORM: f"{platform.system()} {platform.release()} {platform.machine()}",
        PYTHON: platform.python_version(),
        CPU: f"{_cpu_name()}, {psutil.cpu_count()} cores",
        BLAS: ", ".join(sorted(blas)) or "none",
        THREADS: ", ".join(sorted(threads)) or "none",
    }


@cache
def _cpu_name() -> str:
    if platform.system() == "Linux":
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    if platform.system() == "Darwin":
        named = subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True
        )
        if named.stdout.strip():
            return named.stdout.strip()
    return platform.processor() or platform.machine()


def read_git(project: Path) -> GitState:
    """Reads the state of a project.

    Raises:
        OSError: there is no git, no repository or no commit; or git refuses, as in a repository of
            another user.
    """
    as_read = ["--porcelain=v2", "--branch", "-z", "--untracked-files=all", "--no-renames"]
    status = run_git(["status", *as_read, "--", "."], project)
    folder = run_git(["rev-parse", "--show-prefix"], project).strip("\n").rstrip("/")
    facts: dict[str, str] = {}
    changed: list[str] = []
    untracked: list[str] = []
    for entry in filter(None, status.split("\0")):
        kind, _, rest = entry.partition(" ")
        if kind == "#":
            name, _, value = rest.partition(" ")
            facts[name] = value
        elif kind == "?":
            untracked.append(rest)
        else:
            changed.append(rest.split(" ", 9 if kind == "u" else 7)[-1])
    if facts.get("branch.oid", "(initial)") == "(initial)":
        raise OSError("the repository has no commit")
    branch = facts.get("branch.head")
    return GitState(
        commit=facts["branch.oid"],
        branch=None if branch == "(detached)" else branch,
        remote=_remote(project),
        folder=folder or ".",
        changed=tuple(changed),
        untracked=tuple(untracked),
    )


def _remote(project: Path) -> str | None:
    try:
        lines = run_git(["config", "--get-regexp", r"^remote\..*\.url$"], project).splitlines()
    except OSError:
        return None
    urls = dict(line.split(" ", 1) for line in lines if " " in line)
    url = urls.get("remote.origin.url") or next(iter(urls.values()), None)
    return without_credentials(url) if url else None


def write_diff(project: Path, state: GitState, file: Path) -> list[str]:
    """Writes a patch from the commit to the project's files as they are: what git apply takes.

    It holds staged and unstaged changes, and the untracked files of the state.

    Returns:
        What it leaves out, in words: files above LARGEST_FILE bytes, files that may hold a secret
        (see `common.secrets`), repositories in the project, files outside it, and everything where
        the patch would exceed LARGEST_DIFF bytes.
    """
    root = Path(run_git(["rev-parse", "--show-toplevel"], project).strip("\n"))
    left_out = {
        name: reason
        for name in (*state.changed, *state.untracked)
        if (reason := _why_left_out(root, name, name in state.changed))
    }
    wanted = [name for name in state.untracked if name not in left_out]
    with TemporaryDirectory(prefix="cuvee-") as folder:
        index = Path(folder, "index")
        paths = ["rev-parse", "--git-path", "index", "--git-path", "objects"]
        own, objects = (Path(root, name) for name in run_git(paths, root).splitlines())
        if own.exists():
            # With its time: git looks into a file that was written in the same second as its index.
            shutil.copy2(own, index)
        variables = {
            "GIT_INDEX_FILE": str(index),
            "GIT_OBJECT_DIRECTORY": str(Path(folder, "objects")),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(objects),
        }
        Path(folder, "objects").mkdir()
        if wanted:
            run_git(
                ["add", "--force", "--intent-to-add", *_FROM_INPUT],
                root,
                variables | {"GIT_LITERAL_PATHSPECS": "1"},
                "\0".join(wanted),
            )
        if unseen := _not_looked_at(root, [name for name in state.changed if name not in left_out]):
            for flag in ("--no-assume-unchanged", "--no-skip-worktree"):
                run_git(["update-index", flag, "-z", "--stdin"], root, variables, "\0".join(unseen))
        as_patch = ["--binary", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv"]
        prefixes = ["--no-renames", "--src-prefix=a/", "--dst-prefix=b/", f"--output={file}"]
        excluded = [
            f":(top,literal,exclude){name}"
            for name in left_out
            if not Path(name).is_absolute() and inner_repository(root, root / name) is None
        ]
        where = f":(top,literal){'' if state.folder == '.' else state.folder}"
        run_git(["diff", "HEAD", *as_patch, *prefixes, "--", where, *excluded], root, variables)
    said = [f"{name} ({reason})" for name, reason in left_out.items()]
    if file.stat().st_size > LARGEST_DIFF:
        said.append(f"everything: the diff has {file.stat().st_size / 1e6:.1f} MB")
        file.write_bytes(b"")
    return said


def inner_repository(root: Path, file: Path) -> Path | None:
    """Returns the outermost repository below a root that a file is in; None if there is none."""
    above = reversed(file.relative_to(root).parents[:-1])
    return next((root / folder for folder in above if (root / folder / ".git").exists()), None)


def _not_looked_at(root: Path, names: list[str]) -> list[str]:
    """Those of a repository's files of which Git was told not to see changes."""
    if not names:
        return []
    listed = run_git(["ls-files", "-v", "-z", "--", *names], root, {"GIT_LITERAL_PATHSPECS": "1"})
    entries = (entry.split(" ", 1) for entry in filter(None, listed.split("\0")))
    return [name for tag, name in entries if tag == "S" or tag.islower()]


def _why_left_out(root: Path, name: str, is_known: bool) -> str | None:
    path = root / name
    if Path(name).is_absolute():
        return "outside the repository"
    if path.is_dir() and not path.is_symlink():
        return "a repository of its own"
    if inner := inner_repository(root, path):
        return f"in a repository of its own, {inner.relative_to(root).as_posix()}"
    size = path.lstat().st_size if os.path.lexists(path) else 0
    if size > LARGEST_FILE:
        return f"{size / 1e6:.1f} MB"
    content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
    # The patch shows what is gone, too.
    return why_secret(name, content + b"\n" + _committed(root, name) if is_known else content)


def _committed(root: Path, name: str) -> bytes:
    """The content of a file in the commit; nothing if it is not there."""
    try:
        return run_git(["show", f"HEAD:{name}"], root).encode(errors="surrogateescape")
    except OSError:
        return b""


def run_git(
    arguments: list[str],
    folder: Path,
    variables: Mapping[str, str] | None = None,
    words: str | None = None,
) -> str:
    """Runs git in a folder and returns what it printed; it asks nobody for a password.

    Args:
        arguments: behind `git`.
        folder: where.
        variables: of the environment, beside ours.
        words: its standard input.

    Raises:
        OSError: git is not there, or failed; the message is what it printed last.
    """
    # As they stand inside a hook of git, they would mean another repository.
    outer = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"}
    environment = {
        **{name: value for name, value in os.environ.items() if name not in outer},
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C.UTF-8",
        **(variables or {}),
    }
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=environment,
        input=(words or "").encode(errors="surrogateescape"),
        capture_output=True,
    )
    if done.returncode:
        raise OSError(f"git {arguments[0]}: {_problem(done.stderr.decode(errors='replace'))}")
    return done.stdout.decode(errors="surrogateescape")


def _problem(said: str) -> str:
    """What git printed from `fatal:` on, with its advice, or its last line; as one line."""
    _, is_fatal, problem = said.partition("fatal: ")
    lines = problem if is_fatal else said.strip().rpartition("\n")[-1]
    return without_credentials(" ".join(lines.split())) or "failed"
