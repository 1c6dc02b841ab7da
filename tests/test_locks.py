"""The environment is said once, in pyproject.toml: what derives from it has not drifted."""

import re
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from modelling.models.environment import model_environment

PROJECT = Path(__file__).parent.parent
PROJECT_FILE = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
GROUPS = PROJECT_FILE["dependency-groups"]
LOCKS = ("requirements.lock", *(f"requirements-{group}.lock" for group in GROUPS))
PYTHON = "3.11.7"
PLATFORMS = [
    {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
    {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
]


def read(name):
    return (PROJECT / name).read_text(encoding="utf-8")


def blocks(lock):
    """Each requirement of a lock with all the lines that belong to it."""
    return [block for block in re.split(r"\n(?=\S)", read(lock)) if not block.startswith("#")]


def pins(lock, **platform):
    """Version by name, on a platform."""
    environment = {"python_version": "3.11", "python_full_version": PYTHON, **platform}
    found = {}
    for block in blocks(lock):
        requirement = Requirement(block.partition("\\")[0].strip())
        (pin,) = requirement.specifier
        assert pin.operator == "=="
        if requirement.marker is None or requirement.marker.evaluate(environment):
            assert requirement.name not in found
            found[canonicalize_name(requirement.name)] = pin.version
    return found


def in_group(group):
    """The requirements of a dependency group, with those of the groups that it includes."""
    for line in GROUPS[group]:
        if isinstance(line, str):
            yield Requirement(line)
        else:
            yield from in_group(line["include-group"])


def wanted(lock):
    core = [Requirement(line) for line in PROJECT_FILE["project"]["dependencies"]]
    group = re.fullmatch(r"requirements-(.+)\.lock", lock)
    return [*core, *(in_group(group[1]) if group else [])]


@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform["sys_platform"])
def test_lock_satisfies_pyproject_on_every_platform(lock, platform):
    found = pins(lock, **platform)
    unmet = [
        str(requirement)
        for requirement in wanted(lock)
        if (requirement.marker is None or requirement.marker.evaluate(platform))
        and not requirement.specifier.contains(found.get(canonicalize_name(requirement.name), "0"))
    ]
    assert unmet == []


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_says_of_itself_that_pyproject_wants_just_these(lock):
    """Uv names behind `via` who wants a package: `cuvee (pyproject.toml)` or `(…:group)`."""
    said = {
        canonicalize_name(Requirement(block.partition("\\")[0].strip()).name)
        for block in blocks(lock)
        if re.search(r"cuvee \(pyproject\.toml(:[\w-]+)?\)", block)
    }
    assert said == {canonicalize_name(requirement.name) for requirement in wanted(lock)}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash_and_the_lock_names_no_place(lock):
    without = [block.split()[0] for block in blocks(lock) if "--hash=sha256:" not in block]
    assert without == []
    assert re.findall(r"://|--(?!hash=)\S+|file:", read(lock)) == []


def test_lock_holds_all_that_its_packages_need():
    """By what the installed packages themselves say; the tests run in the dev lock."""
    found = pins("requirements.lock", **PLATFORMS[0])
    installed = {canonicalize_name(each.metadata["Name"]): each for each in distributions()}
    missing = set()
    for name in found.keys() & installed.keys():
        for line in installed[name].requires or []:
            needed = Requirement(line)
            applies = needed.marker is None or needed.marker.evaluate({"extra": ""})
            if applies and canonicalize_name(needed.name) not in found:
                missing.add(f"{name} needs {line}")
    assert missing == set()


@pytest.mark.parametrize("lock", LOCKS[1:])
def test_the_lock_of_a_group_has_the_very_pins_of_the_lock(lock):
    for platform in PLATFORMS:
        core, group = (pins(name, **platform) for name in ("requirements.lock", lock))
        assert {name: group.get(name) for name in core} == core


def test_the_docs_say_how_many_packages_each_lock_installs():
    core, *groups = (pins(lock, **PLATFORMS[0]) for lock in LOCKS)
    told = read("docs/train/reproducibility.md")
    assert f"The environment has {len(core)} packages" in told
    for lock, found in zip(LOCKS[1:], groups, strict=True):
        if lock != "requirements-dev.lock":
            (line,) = (line for line in told.splitlines() if line.startswith(f"| `{lock}`"))
            assert f"| {len(found) - len(core)} packages, " in line


def test_the_refresh_makes_every_lock():
    groups = re.search(r"for group in (.+); do", read("scripts/refresh_locks.sh"))
    assert set(groups[1].split()) == set(GROUPS)


def test_both_environments_install_the_lock_and_nothing_else():
    python_env, conda = yaml.safe_load(read("python_env.yaml")), yaml.safe_load(read("conda.yaml"))
    assert python_env == {"python": PYTHON, "dependencies": ["-r requirements.lock"]}
    python, pip, packages = conda["dependencies"]
    assert (python, pip) == (f"python={PYTHON}", "pip")
    assert packages == {"pip": ["-r requirements.lock"]}


def test_every_python_that_is_named_is_the_one_of_the_lock():
    named = {
        name: set(re.findall(r"3\.11\.\d+", read(name)))
        for name in ("README.md", ".ci/run", "scripts/refresh_locks.sh", "python_env.yaml")
    }
    assert all(versions <= {PYTHON} for versions in named.values()), named
    assert PROJECT_FILE["project"]["requires-python"] == "==3.11.*"


def test_ci_and_readme_install_the_locks_by_the_same_words():
    with_dev = "--python 3.11.7 --with-requirements requirements-dev.lock"
    assert with_dev in read(".ci/run")
    assert with_dev in read("README.md")
    assert "--with-requirements requirements.lock" in read("README.md")
    assert "scripts/refresh_locks.sh" in read("README.md")
    files = set(re.findall(r"[\w-]+\.lock", read("README.md") + read(".ci/run")))
    assert files <= set(LOCKS)


def test_the_environment_of_a_logged_model_is_the_locks():
    """Or the environment that is logged with a model, which pins what is installed, is not."""
    found = pins("requirements.lock", **PLATFORMS[0])
    environment = model_environment(PROJECT / "conda.yaml", "sklearn.linear_model.Ridge")
    logged = [Requirement(line) for line in environment["dependencies"][-1]["pip"]]
    drifted = [str(pin) for pin in logged if not pin.specifier.contains(found[pin.name])]
    assert drifted == []
