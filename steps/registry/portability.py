"""Can a logged model be used where this project is not? That is what the registry promises."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from common.errors import InputError
from engine.cache.code_digests import imported_packages, is_installed
from engine.processes.forkserver import PROJECT
from modelling.models import row_details

_DETAILS = Path(str(row_details.__file__)).name
_LOAD = """
import sys
folder, project = sys.argv[1:]
sys.path = [place for place in sys.path if place != project]
try:
    import mlflow.pyfunc
    import pandas
    model = mlflow.pyfunc.load_model(folder, suppress_warnings=True)
    model.predict(pandas.read_parquet(folder + "/artifacts/sample.parquet"))
except Exception as error:
    print(f"{type(error).__name__}:", *str(error).split())
    sys.exit(1)
"""


def check_travels(folder: Path) -> None:
    """Loads a model and asks it, in a process that finds nothing but what is installed.

    That takes seconds, and is left out where it can tell nothing: the model holds no pickle and no
    own code, and its code imports installed packages only.

    Args:
        folder: the model's files, as `download_checked` gives them.

    Raises:
        InputError: it cannot be loaded there, or not predict; one line says why.
    """
    if not _may_need_more(folder):
        return
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with TemporaryDirectory(prefix="cuvee-") as empty:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _LOAD, str(folder), str(PROJECT)],
            cwd=empty,
            env=environment,
            capture_output=True,
            text=True,
        )
    if done.returncode:
        problem = (done.stdout or done.stderr).strip().rpartition("\n")[-1]
        raise InputError(
            f"the model cannot be used where this project is not, so it is not registered: "
            f"{problem}. Choose an estimator of an installed package, or install the package that "
            "yours is of"
        )


def _may_need_more(folder: Path) -> bool:
    ours = [*folder.glob("*.py"), *folder.glob(f"artifacts/{_DETAILS}")]
    packages = [name for file in ours for name in imported_packages(file.parent, file.stem)]
    code = [*folder.rglob("*.pkl"), *folder.glob("artifacts/**/*.py")]
    others = [file for file in code if file not in ours]
    return bool(others) or not all(map(is_installed, packages))
