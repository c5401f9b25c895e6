"""A trained model in MLflow: loaded, served, evaluated and registered; and a run that is here no more, fetched from a server."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from pipeline import api, cli
from pipeline.errors import DataError
from pipeline.tasks import served
from pipeline.tracking import models
from pipeline.tracking.client import Server, open_client
from pipeline.tracking.delivery import read_sent
from pipeline.tracking.folder import read_info, run_folders
from pipeline.tracking.store import Store, connect
from pipeline.training import checkpoint
from tests.tracking.served import asked, free_port, pipeline, running
from tests.tracking.test_database import rows_of

SHORT = ("architecture=mlp_small", "training.epochs=3", "regularization=none")
MODEL_TABLES = ("logged_models", "logged_model_tags", "inputs")


def flats(folder: Path) -> Path:
    path = folder / "flats.csv"
    lines = [f"{40 + i},{('Basel', 'Bern')[i % 2]},{1000 * i + 500}" for i in range(60)]
    path.write_text("\n".join(["size,town,price", *lines]) + "\n")
    return path


def trained(folder: Path, *words: str) -> Path:
    before = set(run_folders(folder / "runs"))
    pipeline(folder, *SHORT, *words)
    (found,) = set(run_folders(folder / "runs")) - before
    end = time.monotonic() + 60
    while not read_sent(found).complete and time.monotonic() < end:
        time.sleep(0.05)
    return found


def test_a_model_is_logged_as_mlflow_logs_it_and_once(tmp_path: Path) -> None:
    run = trained(tmp_path, "data=iris", "tracking=mlflow")
    told = rows_of(tmp_path / "mlflow.db")
    assert len(told["logged_models"]) == 1 and len(told["inputs"]) == 2
    database, info = tmp_path / "mlflow.db", read_info(run)
    store = Store(uri=f"sqlite:///{database}", experiment=info.experiment, artifacts=info.artifacts)
    own, experiment_id = open_client(store)
    own.model(experiment_id, read_sent(run).run_id, run / "model")
    assert rows_of(database) == told  # a second time changes nothing
    with closing(sqlite3.connect(database)) as rows, rows:
        for table in ("logged_model_tags", "logged_models"):
            rows.execute(f"DELETE FROM {table}")
        rows.execute("DELETE FROM inputs WHERE source_type = 'RUN_OUTPUT'")
    for _ in range(2):
        Server(connect(store)[0]).model(experiment_id, read_sent(run).run_id, run / "model")
    again = rows_of(database)
    for table in MODEL_TABLES:
        assert [timeless(row) for row in again[table]] == [timeless(row) for row in told[table]], table


def timeless(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple("then" if isinstance(cell, int) and cell > 10**12 else cell for cell in row)


def test_the_model_holds_the_result_alone_and_no_pickle(tmp_path: Path) -> None:
    run = trained(tmp_path, "data=digits", "training=early_stopping", "tracking.model=none")
    assert read_sent(run).complete and not (run / "model").exists()
    folder = served.write(run)
    names = [path.name for path in folder.rglob("*") if path.is_file()]
    assert len([name for name in names if name.endswith(".safetensors")]) == 1 and not [n for n in names if n.endswith((".pkl", ".pickle"))]
    whole, alone = (checkpoint.load(place / "checkpoints") for place in (run, folder / models.RUN))
    assert all(np.array_equal(alone.result[name], value) for name, value in whole.result.items())
    pinned = (folder / "requirements.txt").read_text().split()
    assert pinned and all("==" in line for line in pinned)
    answers(folder / models.RUN)


def answers(folder: Path) -> None:
    """Rows of all forms have one answer, and what is no row is told in a line."""
    run, rows = served.load(str(folder)), np.zeros((2, 64))
    for x in (rows, rows.reshape(2, 8, 8, 1), pandas.DataFrame(rows), rows.astype(np.uint8)):
        assert list(served.answer(run, x)["class"]) == list(served.answer(run, rows)["class"])
    with pytest.raises(DataError) as caught:
        served.answer(run, rows[:, :3])
    assert str(caught.value) == "a row holds 3 numbers: the model takes 64 (8 x 8 x 1)"


def test_a_sweep_sends_the_model_of_its_best_trial_alone(tmp_path: Path) -> None:
    pipeline(tmp_path, "-m", *SHORT, "data=iris", "optimizer.learning_rate=0.1,0.01")
    assert len([run for run in run_folders(tmp_path / "runs") if (run / "model").exists()]) == 1


@contextmanager
def model_served(uri: str, folder: Path, tracking: str) -> Iterator[str]:
    port = free_port()
    words = ["models", "serve", "-m", uri, "--env-manager", "local", "--port", str(port), "--host", "127.0.0.1"]
    with running(words, folder, alive=f"http://127.0.0.1:{port}/ping", environment={"MLFLOW_TRACKING_URI": tracking}):
        yield f"http://127.0.0.1:{port}/invocations"


@pytest.mark.integration
def test_a_table_and_images_are_served_from_here_and_from_a_server_whose_run_folder_is_gone(tmp_path: Path) -> None:
    table = flats(tmp_path)
    port = free_port()
    remote = f"http://127.0.0.1:{port}"
    words = ["server", "--backend-store-uri", f"sqlite:///{tmp_path}/remote.db", "--artifacts-destination", str(tmp_path / "kept")]
    with ExitStack() as stack:
        stack.enter_context(running([*words, "--port", str(port), "--workers", "1"], tmp_path, alive=f"{remote}/health"))
        there = (f"tracking.uri={remote}", "tracking.register=flats", "tracking.checkpoints=true")
        sent = trained(tmp_path, "data=csv", f"data.path={table}", "data.target=price", *there)
        run_id = read_sent(sent).run_id
        told = predicted(tmp_path, run_id, table, remote)
        shutil.rmtree(sent)
        assert predicted(tmp_path, run_id, table, remote) == told  # fetched from the server
        rows = [line.rsplit(",", 1)[0] for line in table.read_text().splitlines()]
        with model_served("models:/flats/1", tmp_path, remote) as address:
            answers_as(address, rows, told, "price")
            reason = asked(address, "size\n50\n", "text/csv").rpartition("Error: ")[2]
            assert reason == "Model is missing inputs ['town']."
        said = pipeline(tmp_path, f"resume={run_id}", "training.epochs=5", f"tracking.uri={remote}", "tracking.kind=mlflow")
        assert "goes on after the checkpoint of epoch 3" in said
        images = trained(tmp_path, "data=digits")
        x = np.arange(128, dtype=np.float64).reshape(2, 8, 8, 1) % 17
        own = api.load(images).predict(x)
        with model_served(f"runs:/{read_sent(images).run_id}/model", tmp_path, f"sqlite:///{tmp_path}/mlflow.db") as address:
            flat = x.reshape(2, 64)
            csv = "\n".join(",".join(map(str, row)) for row in [range(64), *flat.tolist()])
            for body, kind in ((csv, "text/csv"), (json.dumps({"inputs": flat.tolist()}), "application/json")):
                found = asked(address, body, kind)
                shares = np.array([[row[f"probability_{digit}"] for digit in range(10)] for row in found])
                np.testing.assert_allclose(shares, own, rtol=1e-6)


def predicted(folder: Path, run_id: str, table: Path, remote: str) -> list[float]:
    output = folder / f"{time.monotonic_ns()}.csv"
    pipeline(folder, "task=predict", f"run={run_id}", f"data.path={table}", f"output={output}", f"tracking.uri={remote}")
    return [float(line) for line in output.read_text().splitlines()[1:]]


def answers_as(address: str, rows: list[str], told: list[float], name: str) -> None:
    heading, *lines = rows
    split = {"columns": heading.split(","), "data": [[int(line.split(",")[0]), line.split(",")[1]] for line in lines]}
    for body, kind in (("\n".join(rows), "text/csv"), (json.dumps({"dataframe_split": split}), "application/json")):
        found = asked(address, body, kind)
        assert [row[name] for row in found] == pytest.approx(told, rel=1e-6)


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore")
def test_mlflow_loads_and_evaluates_models_of_tables_and_of_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)
    table = flats(tmp_path)
    prices, digits = trained(tmp_path, "data=csv", f"data.path={table}", "data.target=price"), trained(tmp_path, "data=digits")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    frame = pandas.read_csv(table).astype({"size": float})
    model = mlflow.pyfunc.load_model(f"runs:/{read_sent(prices).run_id}/model")
    rows = frame.drop(columns="price")
    assert model.predict(rows)["price"].tolist() == api.load(prices).predict(rows).ravel().tolist()
    quiet = {"log_model_explainability": False}
    told = {"model_type": "regressor", "evaluator_config": quiet}
    found = mlflow.evaluate(lambda rows: model.predict(rows)["price"], frame, targets="price", **told)
    assert found.metrics["root_mean_squared_error"] > 0
    images = mlflow.pyfunc.load_model(f"runs:/{read_sent(digits).run_id}/model")
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    told = {"model_type": "classifier", "evaluator_config": quiet}
    found = mlflow.evaluate(lambda rows: images.predict(np.asarray(rows))["class"].to_numpy(), x[:400], targets=y[:400].astype(str), **told)
    own = api.load(digits).predict_classes(x[:400].reshape(-1, 8, 8, 1))
    assert found.metrics["accuracy_score"] == pytest.approx(float((own == y[:400].astype(str)).mean()))


def test_a_model_that_cannot_be_written_leaves_the_run_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(folder: Path, example: object = None) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(served, "write", full)
    assert cli.main([*SHORT, "data=iris"]) == 0
    assert "note: MLflow gets no model: " in capsys.readouterr().out
    (run,) = run_folders(tmp_path / "runs")
    assert read_sent(run).ended
