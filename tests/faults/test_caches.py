"""What is kept between processes is used only where nobody else can have written it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from backends.folder import is_private
from backends.numpy.machine.cache import ObjectCache
from pipeline.data.storage.cache import Conversion, converted, digest_of
from pipeline.errors import DataError, RunError
from pipeline.report import html
from pipeline.sweeps.engines.cores import taken
from pipeline.tracking import database
from pipeline.tracking.run import _kept

SOMEBODY = os.geteuid() + 1


def conversion(source: Path) -> Conversion[str]:
    return Conversion(
        noun="table",
        path=source,
        state={"size": 1},
        content=lambda: "ab" * 16,
        settings="0",
        write=lambda place: (place / "cells").write_text("ours") and None,
        read=lambda place: (place / "cells").read_text(),
    )


def test_an_open_umask_opens_no_cache(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert is_private(tmp_path / "a" / "b")
        (tmp_path / "c").mkdir()
        assert (tmp_path / "c").stat().st_mode & 0o777 == 0o777
        assert is_private(tmp_path / "c") and (tmp_path / "c").stat().st_mode & 0o777 == 0o700
        said: list[str] = []
        for _ in range(2):  # the second time it is found by its note
            assert converted(conversion(tmp_path / "x.csv"), tmp_path / "tables", say=said.append) == "ours"
        assert said == []
    finally:
        os.umask(before)


def test_conversions_in_a_folder_of_somebody_else_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: SOMEBODY)
    with pytest.raises(DataError) as caught:
        converted(conversion(tmp_path / "x.csv"), tmp_path / "tables", say=print)
    rule = f"cannot be converted in {tmp_path}/tables (others can write there); make room there, or set XDG_CACHE_HOME to another folder"
    assert str(caught.value) == f"data.path = {tmp_path}/x.csv: {rule}"


@pytest.mark.parametrize("content", ["../../elsewhere", "/etc", 5, None, ["a"]])
def test_a_note_of_others_leads_nowhere(tmp_path: Path, content: object) -> None:
    what, folder = conversion(tmp_path / "x.csv"), tmp_path / "tables"
    (folder / "seen").mkdir(parents=True)
    (folder / "seen" / f"{digest_of(str(what.path.resolve()))}.json").write_text(json.dumps({"size": 1, "content": content}))
    assert converted(what, folder, say=print) == "ours"


def test_a_conversion_that_is_a_link_is_made_anew(tmp_path: Path) -> None:
    what, folder = conversion(tmp_path / "x.csv"), tmp_path / "tables"
    folder.mkdir()
    (tmp_path / "planted").mkdir()
    (tmp_path / "planted" / "cells").write_text("theirs")
    (folder / f"{'ab' * 16}-0").symlink_to(tmp_path / "planted")
    said: list[str] = []
    assert converted(what, folder, say=said.append) == "ours" and len(said) == 1
    assert (tmp_path / "planted" / "cells").read_text() == "theirs"


def test_a_template_that_others_can_write_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with database._template() as template:
        template.chmod(0o666)
        template.write_bytes(template.read_bytes()[:-1] + b"\1")
        planted = template.read_bytes()
    with database._template() as template:
        assert template.read_bytes() != planted and template.stat().st_mode & 0o022 == 0


def test_a_run_from_a_store_is_kept_where_nobody_else_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert _kept("a") == tmp_path / "caviar" / "runs" / "a"
    monkeypatch.setattr(os, "geteuid", lambda: SOMEBODY)
    with pytest.raises(RunError, match="others can write there; set XDG_CACHE_HOME to a folder of your own"):
        _kept("a")


def test_the_charts_of_a_report_are_code_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("vl_convert", reason="the extra report")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = html._bundle()
    (kept,) = (tmp_path / "caviar" / "report").iterdir()
    kept.write_text("alert(1)")
    assert html._bundle() == "alert(1)"  # it is read
    kept.chmod(0o666)
    assert html._bundle() == made


def test_a_pipe_in_the_cache_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.o", 0o600)
    with pytest.raises(OSError):
        ObjectCache(tmp_path)._read(tmp_path / "x.o")


def test_the_lock_of_a_core_follows_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    mine = tmp_path / "mine.txt"
    mine.write_text("of mine")
    for core in os.sched_getaffinity(0):
        (tmp_path / f"caviar-core-{os.getuid()}-{core}.lock").symlink_to(mine)
    before = os.sched_getaffinity(0)
    with taken(1):
        assert os.sched_getaffinity(0) == before and mine.read_text() == "of mine"
