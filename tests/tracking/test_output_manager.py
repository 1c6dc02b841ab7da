"""One naming rule for files, and one folder that goes when the process ends."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import skops.io
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from sklearn.linear_model import Ridge

from tracking.output_manager import (
    CATEGORIES,
    build_output_filename,
    save_temporary,
    temporary_folder,
    temporary_path,
)

PROJECT = Path(__file__).parents[2]

configs = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=4)
repeatable = settings(deadline=None, derandomize=True, max_examples=40)


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_name_says_entity_model_category_and_config(category):
    name = build_output_filename("wine_quality", "ridge", category, {"alpha": 1})
    assert re.fullmatch(rf"wine_quality-ridge-{category}-[0-9a-f]{{8}}", name)
    without = build_output_filename("wine_quality", None, category, {"alpha": 1})
    assert re.fullmatch(rf"wine_quality-{category}-[0-9a-f]{{8}}", without)


@repeatable
@given(configs, configs)
def test_equal_configs_have_one_name_and_others_another(first, second):
    names = [
        build_output_filename("wine", None, "config", config)
        for config in (first, dict(reversed(first.items())), second)
    ]
    assert names[0] == names[1]
    assert (names[0] == names[2]) == (first == second)


def test_unknown_category_is_refused():
    allowed = "predictions, model, plot, config, report"
    with pytest.raises(ValueError, match=f"unknown category 'plots'; allowed: {allowed}"):
        build_output_filename("wine", None, "plots", {})


def test_predictions_come_back():
    frame = pd.DataFrame({"prediction": [1.5, 2.5]}, index=[5, 6])
    path = save_temporary(frame, "predictions", "wine", "ridge", {})
    pd.testing.assert_frame_equal(pd.read_parquet(path), frame.reset_index(drop=True))


def test_a_config_comes_back():
    path = save_temporary({"b": (1, 2), "a": "é"}, "config", "wine", None, {})
    assert yaml.safe_load(path.read_text(encoding="utf-8")) == {"b": [1, 2], "a": "é"}


def test_a_report_comes_back():
    path = save_temporary("<p>é</p>", "report", "wine", None, {})
    assert (path.suffix, path.read_text(encoding="utf-8")) == (".html", "<p>é</p>")


def test_a_plot_is_a_picture():
    path = save_temporary(Figure(), "plot", "wine", None, {})
    assert path.suffix == ".png"
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_model_is_of_skops_unless_the_config_says_cloudpickle():
    model = Ridge().fit([[1.0], [2.0]], [1.0, 2.0])
    path = save_temporary(model, "model", "wine", "ridge", {})
    assert path.suffix == ".skops"
    assert skops.io.load(path).predict([[3.0]]) == model.predict([[3.0]])
    other = save_temporary(model, "model", "wine", "ridge", {"serialization": "cloudpickle"})
    assert other.suffix == ".pkl"
    assert other.stem != path.stem


@pytest.mark.parametrize(
    ("category", "value", "ending"),
    [
        ("predictions", pd.DataFrame({"x": [1.0]}), "parquet"),
        ("config", {}, "yaml"),
        ("report", "", "html"),
        ("plot", Figure(), "png"),
        ("model", Ridge(), "skops"),
    ],
)
def test_a_file_has_its_whole_name_even_with_a_point_in_it(category, value, ending):
    path = save_temporary(value, category, "wine", "forest v1.5", {"a": 1})
    name = build_output_filename("wine", "forest v1.5", category, {"a": 1})
    assert path.name == f"{name}.{ending}"


def test_unknown_category_is_not_saved():
    with pytest.raises(ValueError, match="unknown category 'plots'"):
        save_temporary({}, "plots", "wine", None, {})


def test_files_lie_in_one_temporary_folder_outside_the_working_directory(tmp_path):
    path = save_temporary("", "report", "wine", None, {})
    assert temporary_path("a.json").parent == temporary_folder("b").parent == path.parent
    assert temporary_folder("b").is_dir()
    assert temporary_folder("b") == temporary_path("b")
    assert not list(tmp_path.iterdir())


def test_the_temporary_folder_goes_with_its_process_and_what_is_saved_stays(tmp_path):
    program = (
        "from tracking.output_manager import save_local, save_temporary\n"
        "path = save_temporary('text', 'report', 'wine', None, {})\n"
        "assert path.exists()\n"
        "print(path)\n"
        "print(save_local('kept', 'report', 'wine', None, {}))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=True,
    )
    path, kept = map(Path, result.stdout.splitlines())
    assert path.name.startswith("wine-report-")
    assert not path.parent.exists()
    assert kept == tmp_path / "outputs" / path.name
    assert kept.read_text() == "kept"
