"""Callbacks: asked in order, each training its own, kept in checkpoints, and never harmful to the record."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import pipeline
from pipeline import cli
from pipeline.errors import ConfigError, ExtensionError, Stopped
from tests.extend.conftest import Write
from tests.extend.kinds import KINDS
from tests.refusal import refused

SMALL = ("data=wine", "architecture=mlp_small", "training.batch_size=16", "training.epochs=6", "tracking=none", "output=run")
NOTES = '''
from pipeline import extend

@extend.callback("notes")
class Notes(extend.Callback):
    """Notes when it was asked."""

    every_steps = 5
    path: str = extend.setting("notes.txt")

    def __post_init__(self):
        self.count = 0

    def on_step_chunk(self, state):
        self.count += 1
        self.note(f"chunk {self.count} {state.epoch} {state.step} {len(state.losses)}")
        {body}

    def on_epoch_end(self, state):
        self.note(f"epoch {state.epoch} {len(state.history)} {state.metrics['loss/train'] == state.history[-1]['loss/train']}")

    def note(self, line):
        with open(self.path, "a") as file:
            file.write(line + "\\n")

    def state(self):
        return self.count

    def restore(self, saved):
        self.count = saved
'''


def noting(body: str) -> str:
    return NOTES.replace("{body}", body)


def test_it_is_asked_at_its_steps_and_after_each_epoch(module: Write) -> None:
    name = module("notes_a", noting("pass"))
    found = pipeline.train(pipeline.compose([*SMALL, f"extensions=[{name}]", "callbacks=[notes]", "training.epochs=2"]), quiet=True)
    chunks = ["chunk 1 0 5 5", "epoch 1 1 True", "chunk 2 1 2 2", "chunk 3 1 7 7", "epoch 2 2 True"]  # 8 steps an epoch
    assert Path("notes.txt").read_text().splitlines() == chunks
    plain = pipeline.train(pipeline.compose([*SMALL[:-1], "training.epochs=2"]), quiet=True)
    for name, value in found.program.state().items():
        np.testing.assert_array_equal(value, plain.program.state()[name])  # who looks changes nothing


def test_one_that_stops_is_the_reason_in_the_journal_and_nothing_is_left_to_do(module: Write, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [*SMALL, f"extensions=[{module('enough_a', KINDS)}]", "callbacks=[{kind: enough, loss: 1.0}]"]
    assert cli.main(asked) == 0
    end = json.loads(Path("run/journal.jsonl").read_text().splitlines()[-1])
    epochs = json.loads(Path("run/checkpoints/checkpoint.json").read_text())["progress"]["epoch"]
    assert epochs < 6
    reason = f"callback enough stopped it: after {epochs} epochs the loss is below 1.0"
    assert (end["status"], end["message"]) == ("FINISHED", f"trained {epochs} epoch{'s' if epochs > 1 else ''}; {reason}")
    assert cli.main(["resume=run", "training.epochs=9"]) == 2
    line = f"error: resume = run: the run has ended after epoch {epochs}: {reason}; nothing is left to do\n"
    assert capsys.readouterr().err == line


def test_each_trial_of_a_stack_has_its_own(module: Write) -> None:
    asked = ["-m", *SMALL[:-1], f"extensions=[{module('enough_b', KINDS)}]", "seed=0,1", "callbacks=[{kind: enough, loss: 1.0}]"]
    assert cli.main(asked) == 0
    for folder in Path("runs").glob("*wine-*"):
        kept = json.loads((folder / "checkpoints/checkpoint.json").read_text())["progress"]
        assert len(kept["callbacks"]["0.enough"]["seen"]) == kept["epoch"]


def test_what_it_keeps_is_there_when_the_training_goes_on(module: Write) -> None:
    name = module("notes_b", noting("if self.count == 4: import os, signal; os.kill(os.getpid(), signal.SIGINT)"))
    cfg = pipeline.compose([*SMALL, f"extensions=[{name}]", "callbacks=[notes]", "training.epochs=3"])
    with pytest.raises(Stopped):
        pipeline.train(cfg, quiet=True)
    assert cli.main(["resume=run"]) == 0
    lines = [line for line in Path("notes.txt").read_text().splitlines() if line.startswith("chunk")]
    assert [line.split()[1] for line in lines] == ["1", "2", "3", "4"]
    assert [line.split()[2:] for line in lines] == [["0", "5", "5"], ["1", "2", "2"], ["1", "7", "7"], ["2", "4", "4"]]


BODIES = {
    "state.metrics['x'] = 1.0": "TypeError: 'mappingproxy' object does not support item assignment",
    "state.losses[0] = 0": "ValueError: assignment destination is read-only",
    "1 / 0": "ZeroDivisionError: division by zero",
}


@pytest.mark.parametrize("body", BODIES)
def test_one_that_raises_is_one_line_and_the_run_can_go_on(module: Write, body: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = module(f"notes_c{list(BODIES).index(body)}", noting(body))
    assert cli.main([*SMALL, f"extensions=[{name}]", "callbacks=[notes]"]) == 1
    line = f"error: callback notes, on_step_chunk: {name}, line 17: {BODIES[body]}; the traceback is in run/extension.log"
    assert capsys.readouterr().err.splitlines()[-1] == line
    assert "Traceback" in Path("run/extension.log").read_text()
    end = json.loads(Path("run/journal.jsonl").read_text().splitlines()[-1])
    assert (end["status"], end["message"]) == ("FAILED", line.removeprefix("error: "))


def test_what_json_cannot_hold_is_refused(module: Write) -> None:
    name = module("notes_d", noting("pass").replace("return self.count", "return {1, 2}"))
    cfg = pipeline.compose([*SMALL, f"extensions=[{name}]", "callbacks=[notes]"])
    with pytest.raises(ExtensionError, match=r"\Acallback notes, state\(\): TypeError: Object of type set is not JSON serializable; "):
        pipeline.train(cfg, quiet=True)


def test_without_extensions_there_are_no_callbacks(module: Write) -> None:
    with refused(
        "callbacks[0] = enough: unknown kind; no callback is loaded: give extensions=[MODULE] of one that declares it", ConfigError
    ):
        pipeline.compose(["callbacks=[enough]"])
