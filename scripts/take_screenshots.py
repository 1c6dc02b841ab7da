"""Takes the pictures of docs/learn/ui_guide.md from the running program, with headless Chromium.

    python scripts/take_screenshots.py [FOLDER]

Runs both recipes in FOLDER, or in a temporary one, and opens the UI there. What FOLDER knows is
reused. Needs requirements-dev.lock and Chromium.
"""

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from mlflow import MlflowClient
from mlflow.entities import Run
from PIL import Image
from playwright.sync_api import Page, sync_playwright

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from common.tags import TRIAL

_IMAGES = PROJECT / "docs" / "images"
_RUNS = [
    [],
    ["-P", "model=random_forest"],
    ["-P", "recipe=recipes/customer_churn.yaml"],
    ["-e", "sweep", "-P", "alpha=log(1e-4,1)", "-P", "trials=8"],
]
_PIPELINES = quote("tags.`pipeline.recipe` = 'wine_quality' and metrics.rmse > 0")
_LONGEST_MILLISECONDS = 300_000


def main(folder: Path) -> None:
    """Runs the recipes and takes the pictures."""
    command = [sys.executable, "-m", "mlflow", "run", str(PROJECT), "--env-manager", "local"]
    for words in _RUNS:
        subprocess.run([*command, *words], cwd=folder, check=True)
    store = f"sqlite:///{folder / 'mlflow.db'}"
    version = MlflowClient(store, store).get_model_version_by_alias("wine_quality", "champion")
    step = MlflowClient(store, store).get_run(version.run_id)
    pipeline = step.data.tags["mlflow.parentRunId"]
    with _ui(folder) as url, _page() as page:
        page.goto(f"{url}/#/experiments/0/runs")
        page.get_by_text("main wine_quality").first.wait_for()
        page.get_by_text("Model training").click()  # which the browser keeps
        page.get_by_role("button", name="Close").click()  # the assistant
        _expand(page, "main wine_quality random_forest")
        _take(page, "runs")
        page.goto(f"{url}/#/experiments/0/runs?compareRunsMode=CHART&searchFilter={_PIPELINES}")
        page.get_by_placeholder("Search metric charts").fill("^(rmse|mae|r2)$")
        _take(page, "charts")
        page.goto(f"{url}/#/experiments/0/runs/{pipeline}")
        page.get_by_text("Show more").click()
        _take(page, "pipeline")
        page.goto(f"{url}/#/experiments/0/runs/{pipeline}/artifacts/report.html")
        page.frame_locator("iframe").get_by_text("promoted").first.wait_for()
        _take(page, "report")
        trials = [run.info.run_id for run in _trials(store)]
        page.goto(f'{url}/#/compare-runs?runs={json.dumps(trials)}&experiments=["0"]')
        page.locator(".plotly").first.wait_for()
        _take(page, "sweep")
        page.goto(f"{url}/#/models/wine_quality")
        page.get_by_role("button", name="Tags").first.click()  # closes them
        page.get_by_text("Version 1").first.wait_for()
        _take(page, "model")


def _trials(store: str) -> list[Run]:
    runs = MlflowClient(store, store).search_runs(["0"])
    return [run for run in runs if TRIAL in run.data.tags]


@contextmanager
def _ui(folder: Path) -> Iterator[str]:
    """The UI's address, while it runs."""
    with subprocess.Popen(
        [str(PROJECT / "scripts/launch_mlflow.sh")], cwd=folder, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout  # noqa: S101 - for mypy: it is a pipe
        try:
            yield next(line.split()[-1] for line in process.stdout if "MLflow UI" in line)
        finally:
            process.terminate()


@contextmanager
def _page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1360, "height": 800}, color_scheme="light")
        page.set_default_timeout(_LONGEST_MILLISECONDS)
        yield page
        browser.close()


def _expand(page: Page, name: str) -> None:
    """Shows the runs below one in the table of runs."""
    cell = page.get_by_role("gridcell").filter(has_text=name)
    cell.get_by_role("button").first.click()
    page.get_by_text("register wine_quality random_forest").first.wait_for()


def _take(page: Page, name: str) -> None:
    """Writes a picture with few colours, which is small."""
    page.wait_for_timeout(2000)  # what fades in
    _IMAGES.mkdir(exist_ok=True)
    picture = Image.open(io.BytesIO(page.screenshot()))
    picture.convert("RGB").quantize(128).save(_IMAGES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]).resolve())
    else:
        with TemporaryDirectory() as temporary:
            main(Path(temporary))
