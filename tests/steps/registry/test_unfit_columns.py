"""Whether a champion can be asked for the rows of a table that has changed."""

import json
from types import SimpleNamespace

import pytest

from steps.registry import versions

COLUMNS = [{"name": "age", "type": "string"}, {"name": "since", "type": "double"}]


@pytest.mark.parametrize(
    ("taken", "unfit"),
    [
        ({"age": "number"}, ["age"]),
        ({"age": "boolean"}, ["age"]),
        ({"age": "category", "since": "category"}, []),
        ({"since": "date", "gone": "category"}, ["since", "gone"]),
    ],
)
def test_the_kinds_of_its_features_say_so(monkeypatch, taken, unfit) -> None:
    monkeypatch.setattr(versions, "describe_lost_files", lambda _uri: None)
    info = SimpleNamespace(metadata={"columns": taken}, signature=None)
    monkeypatch.setattr(versions, "get_model_info", lambda _uri: info)
    given = SimpleNamespace(dataset=SimpleNamespace(schema=json.dumps({"mlflow_colspec": COLUMNS})))
    prepared = SimpleNamespace(inputs=SimpleNamespace(dataset_inputs=[given]))
    champion = SimpleNamespace(name="wines", version="1")
    assert versions.unfit_columns(champion, prepared) == unfit
