"""Reports as people see them: in Chromium, alone and inside the MLflow UI, on paper and a phone."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modelling.reporting.report import render_report
from tests.end_to_end.drawn_reports import failed_report, report_of
from tests.end_to_end.store import Outcome

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed"),
]

_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_SIZES = {"phone": (390, 844), "laptop": (1366, 768)}
_LONGEST_MILLISECONDS = 180_000
# Contrast of every text with what lies behind it, by WCAG 2.
_CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => {
    const s = c[i] / 255;
    return sum + weight * (s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4);
  }, 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = rgb(getComputedStyle(e).backgroundColor);
      if (colour[3]) return colour;
    }
    return [255, 255, 255, 255];
  };
  const bad = [];
  for (const e of document.querySelectorAll("main *, header *, footer")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || e.closest("svg, script, style") || !e.getClientRects().length) continue;
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.push(`${e.tagName} ${e.textContent.slice(0, 30)} ${ratio.toFixed(2)}`);
  }
  return bad;
}"""


def _wide():
    """200 columns, many with a long name, and text that would do something in a page."""
    rng = np.random.default_rng(0)
    long = "température extérieure moyenne mesurée sur le site de production numéro"
    names = [f"{long} {n}" if n % 3 == 0 else f"capteur_{n}" for n in range(198)]
    table = pd.DataFrame(rng.normal(size=(400, 198)), columns=names)
    towns = ["<script>document.title='stolen'</script>", "Zürich & Genève", "東京", "plain"]
    table["<b>ville</b>"] = rng.choice(towns, len(table))
    table["montant €"] = 2 * table[names[0]] + table[names[1]] + rng.normal(size=len(table))
    return table


def _narrow():
    """One feature."""
    x = np.random.default_rng(0).normal(size=300)
    return pd.DataFrame({"x": x, "y": 3 * x + np.cos(40 * x)})


@pytest.fixture(scope="module")
def promoted(make_store):
    """A store of a pipeline, and what that left."""
    store = make_store(like="champion")
    return store, Outcome(0, "", store.client, store.runs(), {}, {})


@pytest.fixture(scope="module")
def reports(promoted, template, read_artifact, tmp_path_factory):
    """The report of a pipeline of each kind, and of each end that it can come to."""
    store, first = promoted
    runs = {
        "promoted": first.parent,
        "unchanged": store.main().parent,
        "rejected": template("wines").outcomes["rejected"].parent,
        "classification": template("churn").outcomes["first"].parent,
        "sweep": template("sweep").outcomes["grid"].of("sweep"),
    }
    drawn = {
        "failed in prepare": failed_report("prepare"),
        "failed in train": failed_report("train"),
        "wide": report_of(_wide(), "wide"),
        "narrow": report_of(_narrow(), "narrow"),
    }
    folder = tmp_path_factory.mktemp("reports")
    for name, report in drawn.items():
        (folder / f"{name}.html").write_text(render_report(report), encoding="utf-8")
    files = {name: read_artifact(run, "report.html") for name, run in runs.items()}
    return files | {name: folder / f"{name}.html" for name in drawn}


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=_OPTIONS
        )
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser):
    """Opens pages, and knows what they complained of and asked the network for."""
    contexts, noted = [], []

    def open_(url, size="laptop", scheme="light"):
        width, height = _SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme
        )
        context.set_default_timeout(_LONGEST_MILLISECONDS)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda line: noted.append((line.type, line.text)))
        page.on("pageerror", lambda error: noted.append(("error", str(error))))
        page.on("request", lambda request: noted.append(("request", request.url)))
        page.goto(url)
        return page

    open_.noted = noted
    yield open_
    for context in contexts:
        context.close()


@pytest.mark.parametrize(
    "name",
    [
        "promoted",
        "unchanged",
        "rejected",
        "failed in prepare",
        "failed in train",
        "classification",
        "sweep",
        "wide",
        "narrow",
    ],
)
def test_a_report_opens_alone_at_every_size(reports, open_page, tmp_path_factory, name):
    file = reports[name]
    assert file.stat().st_size < 3_000_000
    pictures = tmp_path_factory.getbasetemp() / "screenshots"
    pictures.mkdir(exist_ok=True)
    for size, scheme in (("phone", "dark"), ("laptop", "light")):
        page = open_page(file.as_uri(), size, scheme)
        assert page.locator("h1").inner_text()
        assert "stolen" not in page.title()
        assert page.evaluate("document.documentElement.scrollWidth") <= _SIZES[size][0]
        assert page.evaluate(_CONTRASTS) == []
        assert page.evaluate("[...document.images].every((image) => image.alt)")
        page.screenshot(path=pictures / f"{name}-{size}.png", full_page=True)
        page.emulate_media(media="print", color_scheme="light")
        page.pdf(path=pictures / f"{name}-{size}.pdf", format="A4")
    asked = {url for kind, url in open_page.noted if kind == "request"}
    assert {url for url in asked if not url.startswith(("data:", "file:"))} == set()
    assert [note for note in open_page.noted if note[0] in ("error", "warning")] == []


def test_skrubs_page_opens_inside_and_the_keyboard_reaches_the_content(reports, open_page):
    page = open_page(reports["promoted"].as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.locator("summary", has_text="training rows").click()
    inside = page.frame_locator("details[data-packed] iframe").first
    assert "alcohol" in inside.locator("table").first.inner_text()
    assert [note for note in open_page.noted if note[0] == "error"] == []
    assert all(
        url.startswith(("file:", "data:", "about:"))
        for kind, url in open_page.noted
        if kind == "request"
    )


@pytest.fixture(scope="module")
def ui(promoted, environment, tmp_path_factory):
    """The MLflow UI on the store; its address."""
    store, _ = promoted
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (tmp_path_factory.mktemp("ui") / "log").open("w")
    words = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store.uri]
    process = subprocess.Popen(
        [*words, "--port", str(port), "--workers", "1"],
        cwd=store.folder,
        env={**environment, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with suppress(OSError):
                urllib.request.urlopen(f"{address}/health").read()  # noqa: S310
                break
            assert process.poll() is None, Path(log.name).read_text()
            time.sleep(0.3)
        yield address
    finally:
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        log.close()


def test_the_ui_shows_the_report(promoted, ui, open_page, tmp_path_factory):
    parent = promoted[1].parent.info
    run = f"{ui}/#/experiments/{parent.experiment_id}/runs/{parent.run_id}"
    pictures = tmp_path_factory.getbasetemp() / "screenshots"
    pictures.mkdir(exist_ok=True)
    page = open_page(f"{run}/artifacts/report.html")
    heading = page.frame_locator("iframe").locator("h1")
    heading.wait_for()
    assert "is typically off by 0.63" in heading.inner_text()
    page.screenshot(path=pictures / "ui-report.png")


def test_the_ui_leads_from_the_pipeline_to_its_steps(promoted, ui, open_page):
    outcome = promoted[1]
    parent = outcome.parent.info
    page = open_page(f"{ui}/#/experiments/{parent.experiment_id}/runs/{parent.run_id}")
    with page.expect_popup() as opened:  # as MLflow opens all links of a description
        page.get_by_role("link", name="evaluate", exact=True).click()
    opened.value.get_by_role("heading", name="evaluate wine_quality elastic_net").wait_for()
    assert outcome.step("evaluate").info.run_id in opened.value.url


def test_the_ui_shows_the_poster_and_the_plots(promoted, ui, open_page):
    outcome = promoted[1]
    files = ((outcome.parent, "poster.png"), (outcome.step("evaluate"), "residuals.png"))
    for run, name in files:
        place = f"{ui}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}/artifacts"
        page = open_page(f"{place}/{name}")
        page.wait_for_function("[...document.images].some((image) => image.naturalWidth > 600)")
