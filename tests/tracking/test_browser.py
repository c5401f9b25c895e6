"""MLflow's pages in a browser, as a reader meets them: the views of a sweep, a run's page.  Chromium, headless, through Selenium."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.tracking.delivery import read_sent
from pipeline.tracking.folder import run_folders

pytestmark = pytest.mark.integration
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
ROOT = Path(__file__).resolve().parents[2]
SEEDS, RATES = 2, ("0.1", "0.01", "0.001")
SWEEP = ("-m", "+experiment=bn", "architecture=mlp_small", "training.epochs=4", f"optimizer.learning_rate={','.join(RATES)}", "seed=0,1")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with a sweep and a default run, and what the sweep printed."""
    folder = tmp_path_factory.mktemp("work")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for words in ((), SWEEP):
        done = subprocess.run([sys.executable, "-m", "pipeline", *words], cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.fixture(scope="module")
def served(work: tuple[Path, str]) -> Iterator[str]:
    """The address of `mlflow ui` over that folder."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", "sqlite:///mlflow.db", "--port", str(port), "--workers", "1"]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=work[0], env=environment, start_new_session=True, **silent) as server:  # type: ignore[call-overload]  # plain options
        try:
            for _ in range(240):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.5)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(server.pid, 15)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("Chromium and its driver are not installed (Debian: chromium, chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=2400,1400"):
        options.add_argument(word)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def seen(browser: Any, url: str, code: str, *, seconds: float = 90) -> Any:
    """What JavaScript `code` gives on the page as soon as it gives something, and the same again half a second later."""
    browser.get("about:blank")
    browser.get(url)
    end, before = time.monotonic() + seconds, None
    while time.monotonic() < end:
        time.sleep(0.5)
        found = browser.execute_script(code)
        if found and found == before:
            return found
        before = found
    raise AssertionError(f"{url} shows {before!r}: {browser.execute_script('return document.body.innerText')[:2000]}")


def link(printed: str, word: str, served: str) -> str:
    """The last link that was printed after `word`, at our address."""
    line = [line for line in printed.splitlines() if line.startswith(word)][-1]
    return line.split()[1].replace("http://127.0.0.1:5000", served)


HEADERS = """return [...document.querySelectorAll('.ag-header-cell')].map(e => [e.getBoundingClientRect().x, e.getAttribute('col-id')])
    .sort((a, b) => a[0] - b[0]).map(e => e[1])"""
CELLS = """const rows = [...document.querySelectorAll('.ag-center-cols-container .ag-row')].sort((a, b) => a.ariaRowIndex - b.ariaRowIndex);
    return rows.map(row => ['metrics.`validation/accuracy`', 'params.`optimizer.learning_rate`', 'params.`seed`']
        .map(id => (row.querySelector(`[col-id="${CSS.escape(id)}"]`) || {innerText: ''}).innerText.trim()))"""
NAMES = (
    """return [...document.querySelectorAll('.ag-row [col-id="attributes.`Run Name`"]')].map(e => e.innerText.trim().split('\\n').pop())"""
)
TEXT = "return document.body.innerText.replaceAll('\\n(', ' (').split('\\n').map(line => line.trim()).filter(line => line)"


def test_the_link_is_told_when_training_begins_and_at_the_end(work: tuple[Path, str]) -> None:
    lines = work[1].splitlines()
    told = [number for number, line in enumerate(lines) if line.startswith("MLflow ")]
    over = next(number for number, line in enumerate(lines) if "jobs done" in line)
    assert len(told) == 2 and told[0] < over < told[1] and lines[told[0]] == lines[told[1]]


def test_the_link_of_a_sweep_opens_its_trials_by_its_metric(work: tuple[Path, str], served: str, browser: Any) -> None:
    rows = seen(browser, link(work[1], "MLflow", served), CELLS)
    assert len(rows) == SEEDS * len(RATES)  # not its summary run, nor the run before it
    values = [float(row[0]) for row in rows]
    assert values == sorted(values, reverse=True) and max(values) > 0.5
    assert sorted({row[1] for row in rows}) == sorted(RATES) and {row[2] for row in rows} == {"0", "1"}
    names = browser.execute_script(NAMES)
    assert set(names) == {f"bn learning_rate={rate} seed={seed}" for rate in RATES for seed in range(SEEDS)}
    columns = [name for name in browser.execute_script(HEADERS) if name and "`" in name]
    assert columns[:3] == ["attributes.`Run Name`", "metrics.`validation/accuracy`", "metrics.`loss/validation`"]
    assert columns[-2:] == ["params.`optimizer.learning_rate`", "params.`seed`"]


def test_the_charts_of_a_sweep_are_those_of_its_question(work: tuple[Path, str], served: str, browser: Any) -> None:
    charts = """const all = [...document.querySelectorAll('.xtitle, .ytitle')].map(e => e.textContent);
        const text = document.body.innerText.replaceAll('\\n(', ' (');
        return text.includes('Trials (6)') && text.includes('Parallel') && all.length > 3 ? all : null"""
    titles = seen(browser, link(work[1], "charts", served), charts)
    assert "log10.optimizer.learning_rate" in titles and "seed" in titles and "validation/accuracy" in titles


def test_arms_have_means_and_bands(work: tuple[Path, str], served: str, browser: Any) -> None:
    lines = seen(browser, link(work[1], "arms", served), f"const t = (() => {{ {TEXT} }})(); return t.includes('Group: 0.01') ? t : null")
    assert {f"Group: {rate}" for rate in RATES} <= set(lines) and "Group by: optimizer.learning_rate" in " ".join(lines)
    drawn = "return [...document.querySelectorAll('svg.main-svg .scatterlayer .fills path')].length"
    browser.execute_script("window.scrollTo(0, 0)")
    for _ in range(60):
        if browser.execute_script(drawn) >= len(RATES):
            break
        time.sleep(0.5)
    assert browser.execute_script(drawn) >= len(RATES)


def test_the_page_of_a_default_run(work: tuple[Path, str], served: str, browser: Any) -> None:
    (folder,) = [folder for folder in run_folders(work[0] / "runs") if folder.name.endswith("_digits")]
    run = f"{served}/#/experiments/0/runs/{read_sent(folder).run_id}"
    lines = seen(
        browser, f"{run}?workflowType=machine_learning", f"const t = (() => {{ {TEXT} }})(); return t.includes('digits seed=0') ? t : null"
    )
    text = "\n".join(lines)
    (count,) = [int(line.removeprefix("Parameters (").rstrip(")")) for line in lines if line.startswith("Parameters (")]
    assert count <= 30 and "null" not in lines
    assert "Created by" in lines and "digits (" in text and "accuracy" in text
    charts = (
        """const t = document.body.innerText.replaceAll('\\n(', ' ('); return t.includes('loss (2)') && t.includes('test (') ? t : null"""
    )
    text = seen(browser, f"{run}/model-metrics?workflowType=machine_learning", charts)
    sections = [line for line in text.splitlines() if line.rstrip(")").rpartition(" (")[2].isdigit()]
    assert sections[0] == "loss (2)", sections
    text = seen(
        browser,
        f"{run}/artifacts?workflowType=machine_learning",
        "const t = document.body.innerText.replaceAll('\\n(', ' ('); return t.includes('config.yaml') ? t : null",
    )
    assert "classes.csv" in text and "figures" in text
