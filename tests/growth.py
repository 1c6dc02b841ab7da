"""What makes the tests long, after each run of them: the slowest files, and the pipelines typed."""

import sys
from collections import Counter
from collections.abc import Sequence

_FILES = 10
_ENTRY_POINTS = ("main.py", "steps.sweep", "steps.reproduce")


class Growth:
    """A plugin of pytest, in the process that reports and in each of its workers."""

    def __init__(self) -> None:
        self._seconds: Counter[str] = Counter()
        self._typed = 0
        sys.addaudithook(self._hear)

    def _hear(self, event: str, given: tuple) -> None:
        if event == "subprocess.Popen" and _is_pipeline([str(word) for word in given[1]]):
            self._typed += 1

    def pytest_runtest_logreport(self, report):
        """Adds up the seconds of a file's tests and fixtures."""
        self._seconds[report.location[0]] += report.duration

    def pytest_sessionfinish(self, session):
        """Tells the process that reports, if this is a worker."""
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["typed"] = self._typed

    def pytest_testnodedown(self, node):
        """Hears of a worker."""
        self._typed += getattr(node, "workeroutput", {}).get("typed", 0)

    def pytest_terminal_summary(self, terminalreporter):
        """Prints what was found."""
        terminalreporter.section("what takes long")
        for file, seconds in self._seconds.most_common(_FILES):
            terminalreporter.write_line(f"{seconds:7.1f} s  {file}")
        terminalreporter.write_line(f"{self._typed:>7} pipelines were typed")


def _is_pipeline(words: Sequence[str]) -> bool:
    runs_project = "mlflow" in words and "run" in words
    return runs_project or any(word.endswith(_ENTRY_POINTS) for word in words)
