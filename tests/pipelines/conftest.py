"""The files of the orchestrators, imported without the packages that they are written for."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
PIPELINES = PROJECT / "pipelines"
_PACKAGES = ("airflow", "dagster", "prefect")


class _AnyClass(type):
    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return PassiveObject

    def __getitem__(cls, _key):
        return PassiveObject

    def __rshift__(cls, other):
        return other


class PassiveObject(metaclass=_AnyClass):
    """Stands for anything of an orchestrator: it remembers what it was made of, and does nothing.

    A decorator, with arguments or without, gives back the function.
    """

    def __new__(cls, *given, **named):
        if cls is PassiveObject and not named and len(given) == 1 and callable(given[0]):
            return given[0]
        return super().__new__(cls)

    def __init__(self, *given, **named):
        self.given, self.named = given, named

    def __call__(self, *given, **_named):
        return given[0] if len(given) == 1 and callable(given[0]) else PassiveObject()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return PassiveObject

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        return None

    def __rshift__(self, other):
        return other

    __rrshift__ = __rshift__


class _PassiveModule(ModuleType):
    __path__ = ()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return PassiveObject


class _Finder:
    def find_spec(self, name, _path=None, _target=None):
        if name.partition(".")[0] in _PACKAGES:
            return importlib.util.spec_from_loader(name, self)
        return None

    def create_module(self, spec):
        return _PassiveModule(spec.name)

    def exec_module(self, module):
        pass


@pytest.fixture
def load(monkeypatch):
    """Imports a file of pipelines/, with nothing behind the names of its orchestrator."""
    finder = _Finder()
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    monkeypatch.syspath_prepend(str(PIPELINES))
    monkeypatch.delitem(sys.modules, "doors", raising=False)

    def load(name):
        spec = importlib.util.spec_from_file_location(name, PIPELINES / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield load
    for name in [name for name in sys.modules if name.partition(".")[0] in (*_PACKAGES, "doors")]:
        del sys.modules[name]


class Doors:
    """Takes the place of `run_door`: keeps what it was asked, and answers as it was told to."""

    def __init__(self):
        project = yaml.safe_load((PROJECT / "MLproject").read_text(encoding="utf-8"))
        self._known = project["entry_points"]
        self.asked = []
        self.answers = {}

    def run_door(self, entry_point, parameters, say, hours=6):
        """Answers for an entry point, which must be one, with parameters that it has."""
        self.check(entry_point, parameters)
        self.asked.append((entry_point, dict(parameters)))
        nothing = ("verdict", "reason", "alert", "metric", "model_uri", "report", "run_id")
        answer = {**dict.fromkeys(nothing), "status": "done", "verdict": "unchanged", "reason": ""}
        return {**answer, **self.answers.get(entry_point, {})}

    def check(self, entry_point, names):
        known = self._known[entry_point]["parameters"]
        assert [name for name in names if name not in known] == []
        assert [
            name
            for name, each in known.items()
            if name not in names and not (isinstance(each, dict) and "default" in each)
        ] == []


@pytest.fixture
def doors():
    return Doors()
