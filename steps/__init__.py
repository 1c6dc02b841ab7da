"""One file an entry point: it reads its inputs, calls modelling/, and writes through tracking/."""

import engine.processes  # noqa: F401 - first: it notes who started this process
