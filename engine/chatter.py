"""What MLflow says besides: its folders, hints and download bars. Nobody asked, unless `verbose`.

It must be imported, and called, before MLflow is.
"""

import os
import sys
from itertools import pairwise


def silence_mlflow() -> None:
    """Lets only warnings through, unless the command line or MLflow's own variables say otherwise.

    `--verbose true` wins over the variables. The steps below this process inherit what is set.
    """
    if ("--verbose", "true") in pairwise(sys.argv):
        os.environ["MLFLOW_LOGGING_LEVEL"] = "INFO"
        os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "true"
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
