"""The environment of a logged model pins what is installed, and nothing of the project."""

from importlib.metadata import version
from pathlib import Path
from platform import python_version

import yaml

from modelling.models.environment import model_environment

TEMPLATE = Path(__file__).parents[3] / "conda.yaml"


def pins_for(estimator):
    return model_environment(TEMPLATE, estimator)["dependencies"][-1]["pip"]


def test_every_package_of_the_model_is_pinned_to_what_is_installed():
    packages = ["mlflow", "scikit-learn", "skops", "cloudpickle"]
    packages += ["numpy", "pandas", "pyarrow", "scipy"]
    assert pins_for("sklearn.linear_model.Ridge") == [
        f"{package}=={version(package)}" for package in packages
    ]


def test_python_is_pinned_to_the_patch():
    python, pip, _ = model_environment(TEMPLATE, "sklearn.linear_model.Ridge")["dependencies"]
    assert (python, pip) == (f"python={python_version()}", "pip")


def test_the_package_of_another_estimator_is_pinned_too():
    others = pins_for("hypothesis.Estimator")[8:]
    needed = f"sortedcontainers=={version('sortedcontainers')}"
    assert others == [f"hypothesis=={version('hypothesis')}", needed]
    assert len(pins_for("numpy.Estimator")) == len(set(pins_for("numpy.Estimator"))) == 8


def test_name_and_channels_are_the_templates(tmp_path):
    template = tmp_path / "conda.yaml"
    template.write_text("name: other\nchannels: [here]\ndependencies: [r-base]\n", encoding="utf-8")
    environment = model_environment(template, "sklearn.linear_model.Ridge")
    assert (environment["name"], environment["channels"]) == ("other", ["here"])
    assert "r-base" not in yaml.safe_dump(environment)
    assert model_environment(TEMPLATE, "sklearn.svm.SVR")["name"] == "cuvee"


def test_what_own_code_imports_is_pinned_with_all_that_it_needs():
    found = model_environment(TEMPLATE, "sklearn.svm.SVR", ["matplotlib", "mlflow"])
    names = [pin.partition("==")[0] for pin in found["dependencies"][-1]["pip"]]
    assert {"matplotlib", "contourpy", "cycler", "six"} <= set(names)
    assert len(names) == len(set(names))
    # MLflow's own needs are MLflow's to say, as they are for every model; what only an extra needs,
    # nobody needs.
    assert not {"flask", "sqlalchemy", "Flask", "SQLAlchemy", "meson"} & set(names)
