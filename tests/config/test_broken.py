"""Config files and overrides that are broken, and numbers beyond all measure: one line, exit 2."""

from __future__ import annotations

from pathlib import Path

import pytest

import pipeline
from pipeline import cli
from pipeline.data.storage import memory
from pipeline.errors import PipelineError

GROUP = "a group takes the name of an option; write regularization=OPTION regularization.KEY=VALUE; the options are"


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main([*words, "tracking=none"]) == 2
    out, err = capsys.readouterr()
    assert not out and err.count("\n") == 1
    return err.removeprefix("error: ").rstrip("\n")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a: [1, 2\nb: }", "config: {path}, line 2: is no YAML (expected ',' or ']', but got ':'); mend the line"),
        (b"\0\1", "config: {path}: is no YAML (special characters are not allowed); write it as UTF-8 text"),
        (b"a: &a [*a]\n", "config: is nested too deeply; take out what holds itself"),
        (b"# @package _global_\noptimizer: [1, 2]\n", "config: In 'experiment/x': ConfigTypeError raised while composing config: Cannot merge DictConfig with ListConfig"),  # noqa: E501
        (b"# @package _global_\nseed: ${nope}\n", "config: seed: Interpolation key 'nope' not found"),
        (b"# @package _global_\nseed: !!python/object/apply:os.mkdir [made]\n", "config: {path}, line 2: is no YAML (could not determine a constructor for the tag 'tag:yaml.org,2002:python/object/apply:os.mkdir'); mend the line"),  # noqa: E501
    ],
    ids=["yaml", "bytes", "loop", "list", "interpolation", "code"],
)  # fmt: skip
def test_a_broken_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: bytes, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "own" / "experiment" / "x.yaml"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert said(capsys, "--config-dir", "own", "+experiment=x") == sentence.format(path=path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["own"]


def test_a_folder_of_configs_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said(capsys, "--config-dir", "own", "+experiment=x") == "--config-dir = own: is no folder; give a folder of config files"


@pytest.mark.parametrize("value", ['["x",null,5e-324]', "[l2,null]"])
def test_a_list_that_names_no_options_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said(capsys, f"regularization={value}").startswith(f"regularization = {value}: {GROUP}")


def test_more_points_than_the_memory_holds_are_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.data.arrays.generated.memory_bytes", lambda: 8 * 2**30)
    assert memory.memory_bytes() > 0
    rule = "takes 93 GiB, and this machine has 8 GiB; use fewer"
    assert said(capsys, "data=two_moons", "data.samples=1000000000") == f"data.samples = 1000000000: {rule}"


def test_a_whole_number_beyond_all_floats_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "9" * 400
    rule = "is larger than any number here; use at most 1.7e308"
    assert said(capsys, f"optimizer.learning_rate={text}") == f"optimizer.learning_rate = {text[:117]}...: {rule}"


def test_a_name_longer_than_a_file_may_have_in_a_layer() -> None:
    with pytest.raises(PipelineError, match=r"^architecture.layers\[0\].activation = x+\.\.\.: unknown kind; use one of elu, formula"):
        pipeline.compose([f"architecture.layers=[{{kind: dense, units: 3, activation: {'x' * 300}}}]", "data=iris"])


def test_a_name_longer_than_a_file_may_have() -> None:
    with pytest.raises(PipelineError, match=r"^config: optimizer\.x+\.\.\.: File name too long; give the name of an option$"):
        pipeline.compose(["optimizer." + "x" * 300 + "=1"])


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("averaging.every_steps=9999999999999999999999", "is larger than any whole number here; use at most 9223372036854775807"),
        ("averaging.every_steps=1e300", "is larger than any whole number here; use at most 9223372036854775807"),
        ("backend.threads=100000", "must be at most 1024"),
        ("data.image.size=[1,2,3]", "has 3 values, not 2; give 2"),
        ("data.image.size=[]", "has 0 values, not 2; give 2"),
    ],
)
def test_numbers_that_nothing_can_be_made_of(override: str, sentence: str) -> None:
    with pytest.raises(PipelineError, match=f"{sentence}$"):
        pipeline.compose(["averaging=swa", override])


@pytest.mark.parametrize("units", [2**62, 2**63 - 1])
def test_a_layer_of_more_numbers_than_can_be_counted(units: int) -> None:
    cfg = pipeline.compose([f"architecture.layers=[{{kind: dense, units: {units}}}]", "data=iris"])
    rule = r"a tensor of it would have more than 2\^48 numbers, and no machine holds them; use fewer units"
    with pytest.raises(PipelineError, match=rf"^architecture\.layers = fc1: {rule}$"):
        pipeline.compile(cfg)
