"""Folders that were copied, databases of others and databases that are gone: no run is lost, mixed with another or written elsewhere."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.errors import RunError, TrackingError
from pipeline.tracking import lives, models
from pipeline.tracking.delivery import Clients, Delivery, read_sent
from pipeline.tracking.folder import INFO, read_info
from pipeline.tracking.journal import Model, Resume, Start, Tags
from pipeline.tracking.sender import Round, sync
from pipeline.tracking.store import Store
from pipeline.tracking.tracker import Tracker, resume

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own
Begin = Callable[..., Tracker]


def ended(begin: Begin, **options: object) -> Tracker:
    tracker = begin(**options)
    tracker.metrics(1, {"loss/train": 0.5})
    tracker.finish("FINISHED", wait=0)
    sync(tracker.folder)
    return tracker


def goes_on(tracker: Tracker, folder: Path, project: Path, epoch: int) -> None:
    again = resume(folder, step=1, project=project, sender=tracker._sender)
    again.metrics(epoch, {"loss/train": 0.25})
    again.finish("FINISHED", wait=0)


def told(store: Store) -> dict[str, list[int]]:
    """Run -> its steps."""
    assert store.database is not None
    with closing(sqlite3.connect(store.database)) as rows:
        found = {str(run): list[int]() for (run,) in rows.execute("SELECT run_uuid FROM runs")}
        for run, step in rows.execute("SELECT run_uuid, step FROM metrics WHERE key = 'loss/train' ORDER BY step"):
            found[run].append(step)
    return found


def test_two_copies_that_go_on_are_two_runs(begin: Begin, project: Path, store: Store) -> None:
    tracker = ended(begin)
    one, other = tracker.folder, tracker.folder.with_name("copy")
    shutil.copytree(one, other)
    goes_on(tracker, one, project, 2)
    sync(one)
    goes_on(tracker, other, project, 3)
    sync(other)
    first, second = read_sent(one).run_id, read_sent(other).run_id
    expected = {first: [1, 2], second: [1, 3]}
    assert first != second and told(store) == expected
    for folder in (other, one):
        sync(folder, rebuild=True)
    assert told(store) == expected
    (other / "mlflow.json").unlink()  # the way to its run is found again, and on from there
    goes_on(tracker, other, project, 4)
    sync(other)
    assert told(store) == {first: [1, 2], second: [1, 3, 4]}


def test_a_copy_made_before_the_run_went_on_takes_nothing_back(begin: Begin, project: Path, store: Store) -> None:
    tracker = ended(begin)
    copy = tracker.folder.with_name("copy")
    shutil.copytree(tracker.folder, copy)
    goes_on(tracker, tracker.folder, project, 2)
    sync(tracker.folder)
    delivery = sync(copy, rebuild=True)
    assert delivery.remarks == {"is a copy made before the run went on; MLflow has all of it"}
    assert told(store) == {read_sent(tracker.folder).run_id: [1, 2]} and read_sent(copy).complete


def test_lives_tell_copies_apart() -> None:
    start, first, second = Start(time=1), Resume(time=5, pid=7), Resume(time=9, pid=8)
    assert lives.lives([start, first, second]) == ["5.7", "9.8"]
    theirs = {lives.TAG: "5.7"}
    assert lives.apart("u", [start, first, second], theirs) == "" and not lives.contained([start, first, second], theirs)
    assert lives.contained([start], theirs) and not lives.contained([start, Tags(time=6, values={})], theirs)
    own = lives.apart("u", [start, second], theirs)
    assert len(own) == 32 and own == lives.apart("u", [start, second, first], theirs)  # it keeps its id as it goes on
    assert not lives.contained([start], {lives.TAG: "no life"}) and lives.apart("u", [start], {lives.TAG: "no life"}) != ""


@pytest.mark.parametrize("uid", ["../../../evil", "x' OR 'a' = 'a", "", "a" * 100_000, "\x1b[2J", "ABCDEF" * 5 + "00"])
def test_an_id_is_one_before_it_names_anything(begin: Begin, uid: str) -> None:
    folder = ended(begin).folder
    (folder / INFO).write_text(json.dumps(json.loads((folder / INFO).read_text()) | {"uid": uid}))
    with pytest.raises(RunError, match="is no id of 32 hexadecimal digits"):
        read_info(folder)


def test_a_journal_does_not_take_the_id_of_another_run(begin: Begin, store: Store) -> None:
    mine = ended(begin)
    stranger = begin(tags={"pipeline.uid": read_info(mine.folder).uid})
    stranger.tags({"pipeline.uid": read_info(mine.folder).uid})
    stranger.finish("FINISHED", wait=0)
    other = sync(stranger.folder).sent.run_id
    (mine.folder / "mlflow.json").unlink()
    assert sync(mine.folder).sent.run_id != other


@pytest.mark.parametrize("kind", ["run", "target"])
def test_a_database_of_others_leads_nowhere_else(begin: Begin, store: Store, tmp_path: Path, kind: str) -> None:
    folder, elsewhere = ended(begin).folder, tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert store.database is not None
    place = Path(store.database.parent, "mlruns", "bn", read_sent(folder).run_id, "artifacts")
    if kind == "run":
        with closing(sqlite3.connect(store.database)) as rows, rows:
            rows.execute("UPDATE runs SET artifact_uri = ?", (elsewhere.as_uri(),))
    else:
        shutil.rmtree(place)
        place.symlink_to(elsewhere)
    with pytest.raises(TrackingError):
        sync(folder, rebuild=True)
    assert list(elsewhere.iterdir()) == []


def test_a_database_that_is_deleted_under_a_run_is_made_again(begin: Begin, store: Store) -> None:
    tracker = begin()
    tracker.metrics(1, {"loss/train": 0.5})
    item = Round(Delivery(tracker.folder, Clients()))
    item.look(orphaned=False)
    assert store.database is not None
    store.database.unlink()
    tracker.metrics(2, {"loss/train": 0.25})
    item.look(orphaned=False)
    item._again = 0.0
    item.look(orphaned=False)
    assert told(store) == {read_sent(tracker.folder).run_id: [1, 2]}
    tracker.finish("FINISHED", wait=0)


PINS = ["numpy==2.4.6", "mlflow==3.17.2"]


def model(folder: Path) -> Path:
    """The folder of a model, as `served.write` makes it."""
    place = folder / "model"
    (place / models.RUN).mkdir(parents=True)
    (place / models.RUN / "config.yaml").write_text("seed: 1\n")
    for name, text in models.texts("3.11.7", PINS, ["my_package.layers"]).items():
        (place / name).write_text(text)
    written = {"flavors": {"python_function": models.flavor("3.11.7")}, "model_uuid": "0" * 32}
    (place / "MLmodel").write_text(json.dumps(written))
    return place


def linked(place: Path) -> None:
    (place / models.RUN / "stolen").symlink_to("/etc/passwd")


def rewritten(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(place: Path) -> None:
        text = (place / name).read_text()
        assert old in text
        (place / name).write_text(text.replace(old, new))

    return change


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (linked, "model/artifacts/run/stolen is a link or no file"),
        (lambda place: (place / "setup.py").write_text("import os"), "model/setup.py is no file of a model"),
        (rewritten("model.py", "import mlflow\n", "import mlflow, os\n"), "model/model.py is not as it was written"),
        (rewritten("model.py", "'my_package.layers'", "'a b'"), "model/model.py is not as it was written"),
        (rewritten("MLmodel", "loaders.code_model", "model"), "model/MLmodel is not as it was written"),
        (rewritten("MLmodel", '"flavors"', '"flavours"'), "model cannot be read (KeyError)"),
        (rewritten("conda.yaml", "conda-forge", "elsewhere"), "model/conda.yaml is not as it was written"),
        (rewritten("requirements.txt", "numpy==2.4.6", "numpy==2.4.6 --index-url http://h"), "model/conda.yaml is not as it was written"),
        (lambda place: (place / "python_env.yaml").unlink(), "model cannot be read (FileNotFoundError)"),
    ],
)
def test_a_model_that_others_have_changed_is_not_sent(
    begin: Begin, store: Store, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object], why: str
) -> None:
    tracker = begin()
    place = model(tracker.folder)
    assert models.fault(place) == ""
    change(place)
    tracker.journal.write(Model(path="model"))
    tracker.finish("FINISHED", wait=0)
    monkeypatch.chdir(tracker.folder)
    assert sync(tracker.folder).remarks == {f"its model is not sent: {why}"}
    assert store.database is not None
    with closing(sqlite3.connect(store.database)) as rows:
        assert rows.execute("SELECT count(*) FROM logged_models").fetchone() == (0,)


def test_a_model_that_asks_for_unknown_packages_is_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = model(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name, text in models.texts("3.11.7", ["numpi==1.0"], []).items():
        (place / name).write_text(text)
    assert models.fault(place) == "model/requirements.txt asks for numpi==1.0, which is not installed here"
