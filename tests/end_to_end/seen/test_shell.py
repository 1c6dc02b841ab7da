"""Whatever stands in a value of -P is data, for each parameter of each entry point."""

import json
import shlex
import sys
from pathlib import Path

import mlflow
import pytest
import yaml
from mlflow.projects.utils import get_entry_point_command, load_project

from engine.warm import _why_not_warm

PROJECT = Path(__file__).parents[3]
ENTRY_POINTS = yaml.safe_load((PROJECT / "MLproject").read_text())["entry_points"]
VALUES = [
    "$(touch {0})",
    "`touch {0}`",
    "; touch {0} #",
    "x | touch {0} && touch {0} & ",
    "'; touch {0}; '\"; touch {0}; \"",
    "x\ntouch {0}\n",
    "--data",
    "  é ❤ ~ * ? [a] {{b}} \\ $HOME %s {{}} \t",
]


@pytest.fixture
def store(tmp_path, monkeypatch, make_store):
    """A folder to stand in, a store, and a `python` that only writes down what it was given."""
    monkeypatch.chdir(tmp_path)
    python = tmp_path / "bin/python"
    python.parent.mkdir()
    python.write_text(
        f"#!{sys.executable} -S\nimport json, sys\n"
        f"json.dump(sys.argv[1:], open({str(tmp_path / 'argv.json')!r}, 'w'))\n"
    )
    python.chmod(0o755)
    monkeypatch.setenv("PATH", f"{python.parent}:/usr/bin:/bin")
    mlflow.set_tracking_uri(make_store().uri)
    yield tmp_path
    mlflow.set_tracking_uri(None)


def arguments(entry_point, values):
    """What the entry point is given: by its command in MLproject, and the others behind it."""
    command = shlex.split(ENTRY_POINTS[entry_point]["command"])[1:]
    filled = [values.get(word.strip("{}"), word) for word in command]
    extra = {name: text for name, text in values.items() if f"{{{name}}}" not in command}
    return [*filled, *(word for name, text in extra.items() for word in (f"--{name}", text))]


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
def test_values_arrive_as_they_were_typed(store, entry_point):
    """Each parameter has a value of another kind, each entry point begins with another one."""
    names = [*ENTRY_POINTS[entry_point].get("parameters", {}), "alpha", "beta"]
    first = list(ENTRY_POINTS).index(entry_point)
    witness = store / "touched"
    values = {
        name: VALUES[(first + number) % len(VALUES)].format(witness)
        for number, name in enumerate(names)
    }
    expected = arguments(entry_point, values)
    mlflow.projects.run(
        str(PROJECT), entry_point, parameters=values, env_manager="local", experiment_id="0"
    )
    assert json.loads((store / "argv.json").read_text()) == expected
    [command] = get_entry_point_command(load_project(str(PROJECT)), entry_point, values, None)
    assert _why_not_warm(command, str(PROJECT)) is None
    assert shlex.split(command)[1:] == expected
    assert not witness.exists()


@pytest.mark.parametrize("backend", ["warm", pytest.param("local", marks=pytest.mark.slow)])
def test_a_table_of_any_name_is_read(make_store, tmp_path, backend):
    store = make_store()
    name = 'it\'s\n a "table" $(touch touched) `touch touched`; touch touched & é.csv'
    path = tmp_path / name
    path.write_bytes((PROJECT / "data/red-wine-quality.csv").read_bytes())
    outcome = store.main(f"data={path}", "until=prepare", f"backend={backend}")
    assert outcome.code == 0, outcome.terminal
    assert outcome.of("prepare").data.metrics["rows"] == 1599
    assert not [*PROJECT.glob("touched"), *store.folder.glob("touched")]
