"""An entry point for test_warm.py: writes down what it finds, then ends as it is told."""

import json
import os
import random
import signal
import sys
import threading
from pathlib import Path

import numpy as np

found = {
    "pid": os.getpid(),
    "group": os.getpgid(0),
    "folder": os.getcwd(),
    "arguments": sys.argv[1:],
    "run_id": os.environ["MLFLOW_RUN_ID"],
    "greeting": os.environ.get("GREETING"),
    "threads": threading.active_count(),
    "sqlalchemy": "sqlalchemy" in sys.modules,
    "random": [random.random(), float(np.random.rand())],  # noqa: S311
    "terminates": signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,
    "is_main": __name__ == "__main__",
}
options = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
Path(options["--out"]).write_text(json.dumps(found), encoding="utf-8")
print("the probe was here")
if "--kill" in options:
    os.kill(os.getpid(), int(options["--kill"]))
sys.exit(int(options.get("--code", "0")))
