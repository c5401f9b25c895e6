"""The command line: what a task is given, exit codes, one line for each mistake."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from pipeline import tasks
from pipeline.config.compose import compose
from pipeline.config.overrides import groups
from pipeline.config.spec import experiment
from pipeline.config.synonyms import OPTIONS
from tests import recorder

Command = Callable[..., int]


def test_a_run_gets_its_experiment_its_config_and_its_overrides(command: Command) -> None:
    assert command("+experiment=bn", "seed=3", "optimizer.learning_rate=0.01") == 0
    ((got, config, context),) = recorder.calls
    assert (got.seed, got.optimizer.learning_rate, got.training.batch_size) == (3, 0.01, 128)
    assert experiment(config) == got
    assert context == tasks.RunContext(overrides=("experiment=bn", "seed=3", "optimizer.learning_rate=0.01"))


def test_a_bare_experiment_is_accepted_and_a_key_of_that_name_elsewhere_is_left_alone(command: Command) -> None:
    assert command("experiment=dropout", "tracking.experiment=mine") == 0
    ((got, _, _),) = recorder.calls
    assert (got.regularization.keep_prob, got.tracking.experiment) == (0.8, "mine")


def test_flags_and_overrides_may_be_mixed(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("seed=1", "--cfg", "job", "--package", "seed", "seed=5") == 0
    assert capsys.readouterr().out == "5\n"


def test_a_path_that_is_given_twice_has_its_last_value_and_that_is_told(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("training.epochs=3", "seed=1", "optimizer=adam", "optimizer=sgd", "seed=1", "training.epochs=4") == 0
    _, config, _ = recorder.calls[0]
    assert (config["training"]["epochs"], config["optimizer"]["kind"]) == (4, "sgd")
    line = "note: {} is given more than once: {} holds, not {}\n"
    assert capsys.readouterr().err == line.format("training.epochs", 4, 3) + line.format("optimizer", "sgd", "adam")
    assert command("-m", "seed=0,1", "++seed=2,3") == 0 and capsys.readouterr().err == line.format("seed", "2,3", "0,1")


def test_optional_keys_that_no_option_lists_need_no_plus(command: Command) -> None:
    assert command("training.early_stopping.patience=3") == 0
    assert recorder.calls[0][0].training.early_stopping.patience == 3


def test_a_run_writes_nothing_by_itself_and_leaves_no_global_state(command: Command, tmp_path: Path) -> None:
    before = (list(sys.argv), dict(os.environ))
    assert command() == 0
    assert list(tmp_path.iterdir()) == []
    assert (list(sys.argv), dict(os.environ)) == before
    assert not GlobalHydra.instance().is_initialized()


WORDS = {
    "data.path=données.csv": "données.csv",
    "data.path=~/my.csv": "~/my.csv",
    "data.path=plain#1.csv": "plain#1.csv",
    "data.path=a (1).csv": "a (1).csv",
    "data.path=/a b/c(d)#.csv": "/a b/c(d)#.csv",
    "data.path=x/[1].csv": "x/[1].csv",
    'data.path="größe, höhe.csv"': "größe, höhe.csv",
    "data.target=größe": "größe",
    "data.target=a=b": "a=b",
    "data.target=it's": "it's",
    'data.target="é\\': '"é\\',
    "data.ignore=[petal length (cm)]": ("petal length (cm)",),
    "data.ignore=[zip#1, größe (a,b), 'c, ü', plain]": ("zip#1", "größe (a,b)", "c, ü", "plain"),
}


@pytest.mark.parametrize(("text", "word"), WORDS.items(), ids=list(WORDS))
def test_the_command_line_takes_words_as_they_are(command: Command, text: str, word: object) -> None:
    assert command(text) == 0
    got = recorder.calls[0][0]
    assert getattr(got.data, text.partition("=")[0].removeprefix("data.")) == word
    assert experiment(compose([text])) == got


def test_an_element_of_a_list_may_be_given_in_brackets(command: Command) -> None:
    assert command("architecture.layers[0].units=64") == 0
    assert recorder.calls[0][0].architecture.layers[0].units == 64


def test_a_sweep_takes_words_as_they_are(command: Command) -> None:
    assert command("-m", "data.path=données.csv,größe.csv", "hydra.sweep.dir=s") == 0
    assert [call[0].data.path for call in recorder.calls] == ["données.csv", "größe.csv"]


MISTAKES = [
    (["optimizer=adamm"], "optimizer = adamm: unknown option; did you mean adam?"),
    (["experiment=bnn"], "experiment = bnn: unknown option; did you mean bn?"),
    (["task=explian"], "task = explian: unknown option; did you mean explain?"),
    (["optimizer=null"], f"optimizer = null: a group needs an option; use one of {', '.join(groups()['optimizer'])}"),
    (
        ["loss={kind:auto}"],
        "loss = {kind:auto}: a group takes the name of an option; write loss=OPTION loss.KEY=VALUE; "
        f"the options are {', '.join(groups()['loss'])}",
    ),
    (["optimizer.learning_rate=-1"], "optimizer.learning_rate = -1: must be above 0"),
    (["optimizer.learning_rate=fast"], "optimizer.learning_rate = fast: must be a number, not a word"),
    (["optimizer.lr=0.1"], "optimizer.lr = 0.1: unknown key; did you mean learning_rate?"),
    (["+optimizer.lr=0.1"], "optimizer.lr = 0.1: unknown key; did you mean learning_rate?"),
    (["++training.epoch=1"], "training.epoch = 1: unknown key; did you mean epochs?"),
    (["optimiser=adam"], "optimiser = adam: unknown key; did you mean optimizer?"),
    (["+expriment=bn"], "expriment = bn: unknown key; did you mean experiment?"),
    (["-m", "+swep=seeds"], "swep = seeds: unknown key; did you mean sweep?"),
    (["optimiser.learning_rate=1"], "optimiser.learning_rate = 1: unknown key; did you mean optimizer.learning_rate?"),
    (["optimizer=sgd", "optimizer.beta1=0.5"], "optimizer.beta1 = 0.5: sgd has no such key; it belongs to adam, adamw, amsgrad, nadam"),
    (["training.epochs=ten"], "training.epochs = ten: must be a whole number, not a word"),
    (["seed=0,1"], "seed = 0,1: one run takes one value; add -m for a sweep, or write [a,b] for a list"),
    (["seed"], "seed = (missing): has no value; write seed=..."),
    (["optimizr"], "optimizr = (missing): unknown key; did you mean optimizer?"),
    (["lr"], "lr = (missing): unknown key; did you mean optimizer.learning_rate?"),
    (["seed=1", "optimizr"], "optimizr = (missing): unknown key; did you mean optimizer?"),
    (
        ["data.target=Monatliche", "Miete", "in", "EUR", "seed=1"],
        "data.target = Monatliche: is followed by Miete in EUR; if that belongs to it give 'data.target=Monatliche Miete in EUR'",
    ),
    (["data=tiny.csv"], "data = tiny.csv: names a kind of data, not a file; give data=table data.path=tiny.csv"),
    (["data=my/a b.csv"], "data = my/a b.csv: names a kind of data, not a file; give data=table 'data.path=my/a b.csv'"),
    (["lr=0.1"], "lr = 0.1: unknown key; did you mean optimizer.learning_rate?"),
    (["+learning_rate=0.1"], "learning_rate = 0.1: unknown key; did you mean optimizer.learning_rate?"),
    (["batch_size=32"], "batch_size = 32: unknown key; did you mean training.batch_size?"),
    (["epochs=3"], "epochs = 3: unknown key; did you mean training.epochs?"),
    (["dropout=0.5"], "dropout = 0.5: unknown key; did you mean regularization=dropout regularization.rate?"),
    (
        ["data.path=größe, höhe.csv"],
        "data.path = größe, höhe.csv: one run takes one value; add -m for a sweep, or write [a,b] for a list; "
        "one word with a comma is quoted twice: 'data.path=\"...\"'",
    ),
    (
        ["training.größe (cm).kind=id"],
        "training.größe (cm) = {'kind': 'id'}: unknown key; use one of accumulate, batch_size, checkpoints, doctor, early_stopping, "
        "epochs, metrics, on_divergence, restore, train_rows",
    ),
    (
        ["training={größe (cm): {2nd: 1}}"],
        "training = {größe (cm): {2nd: 1}}: a group takes the name of an option; write training=OPTION training.KEY=VALUE; "
        "the options are default, early_stopping, fixed",
    ),
    (["data.path=???"], "data.path = (missing): has no value; give data.path=..."),
    (["~nope"], "config: Could not delete from config. 'nope' does not exist"),
    (["~optimizer"], "~optimizer = (removed): nothing can be taken out of a config; choose another option of optimizer"),
    (["~normalization"], "~normalization = (removed): nothing can be taken out of a config; write normalization=none"),
    (
        ["~optimizer.beta1"],
        "~optimizer.beta1 = (removed): nothing can be taken out of a config; write optimizer.beta1=VALUE; without it the default holds",
    ),
    (["architecture=mlp_small", "architecture.layers.5.units=64"], "architecture.layers[5] = (missing): there are 2; the last is [1]"),
    (["+experiment=bn", "experiment=dropout"], "experiment = bn,dropout: takes one option at a time; give one of them"),
    (["--experiment=bn"], "command line: --experiment=bn: what a config holds is set without dashes; write experiment=bn"),
    (["--lr=0.1"], "command line: --lr=0.1: what a config holds is set without dashes; write optimizer.learning_rate=0.1"),
    (["activation=swish"], "activation = swish: unknown option; here it is activation=silu"),
    (["-m", "optimizer=sgd,NAG"], "optimizer = NAG: unknown option; here it is optimizer=nesterov"),
    (["precision=float16"], "precision = float16: unknown choice; use one of float32, float64"),
    (["seed=${nope}"], "config: seed: Interpolation key 'nope' not found"),
    (["run=abc"], "run = abc: task=train starts a new run; give resume=FOLDER to continue a training"),
    (["task=evaluate"], "run = null: task=evaluate works on a trained run; give run=FOLDER or run=MLFLOW_RUN_ID"),
    (["task=explain", "resume=abc"], "resume = abc: task=explain continues nothing; give run=... instead"),
    (["--nope"], "command line: unrecognized arguments: --nope; see --help"),
    (["--cfg", "job", "optimizer.lr=1"], "optimizer.lr = 1: unknown key; did you mean learning_rate?"),
    (["-m", "optimizer=adam,adamm"], "optimizer = adamm: unknown option; did you mean adam?"),
    (
        ["-m", "seed=interval(1,2)"],
        "seed = interval(1,2): a grid has values, and this is a range; give hydra/sweeper=search hydra.sweeper.trials=64 too",
    ),
]


@pytest.mark.parametrize(("argv", "sentence"), MISTAKES, ids=[" ".join(argv) for argv, _ in MISTAKES])
def test_a_mistake_is_one_line_with_code_2_and_nothing_is_written(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str], sentence: str
) -> None:
    assert command(*argv) == 2
    assert capsys.readouterr() == ("", f"error: {sentence}\n")
    assert recorder.calls == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("train", "code", "line"),
    [
        ("diverge_at_seed_1", 1, "error: step 7: fc1 holds a NaN; lower the learning rate"),
        ("data_error", 2, "error: my.csv: no column price; did you mean prices?"),
        ("read_missing_file", 2, "error: no/such/file.csv: No such file or directory"),
        ("interrupt_at_seed_1", 130, "stopped by Ctrl-C"),
        ("stop", 143, "stopped after step 12; continue with resume=runs/x"),
    ],
)
def test_what_ends_a_run_early_is_one_line_and_its_exit_code(
    command: Command, capsys: pytest.CaptureFixture[str], train: str, code: int, line: str
) -> None:
    assert command("seed=1", train=train) == code
    assert capsys.readouterr() == ("", line + "\n")


def test_a_mistake_of_ours_keeps_its_traceback(command: Command) -> None:
    with pytest.raises(AssertionError, match="a mistake of ours"):
        command("seed=1", train="break_at_seed_1")


def test_every_task_has_an_option_and_every_option_a_task() -> None:
    options = {file.stem for file in (Path(__file__).parents[2] / "conf/task").glob("*.yaml")}
    assert options == set(tasks.TASKS)


def test_every_synonym_stands_for_an_option_and_is_none_itself() -> None:
    known = groups()
    for group, names in OPTIONS.items():
        assert set(names.values()) <= set(known[group])
        assert not set(names) & set(known[group])


def test_bytes_that_are_no_utf_8_are_refused_in_a_line(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("output=run\udcff") == 2
    assert capsys.readouterr().err == "error: output = run\\udcff: holds bytes that are no UTF-8; rename the file, or write the word anew\n"


def test_who_asks_hydra_for_the_whole_error_gets_ours_too(
    command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert command("architecture=mlp_smal") == 2
    first, *_, last = capsys.readouterr().err.splitlines()
    assert first == "Traceback (most recent call last):"
    assert last == "error: architecture = mlp_smal: unknown option; did you mean mlp_small?"
