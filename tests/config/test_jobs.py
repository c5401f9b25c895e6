"""The config of a job that is copied from another's is the one that Hydra composes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeline.config import jobs
from pipeline.config.compose import resolved, run_hydra, sweep_params
from pipeline.config.overrides import forgiving, planned, without_several

SWEEPS = [
    ("optimizer.learning_rate=0.1,1e-2,3e-05", "seed=0,1"),
    ("optimizer=sgd,adam", "optimizer.learning_rate=0.1,0.01"),
    ("regularization=[dropout,l2]", "seed=range(0,3)"),
    ("training.epochs=3", "training.early_stopping.patience=3,5", "training.epochs=1,2"),
    ("normalization=batch", "normalization.position=pre,post", "precision=float32,float64"),
    ("architecture=mlp_small", "architecture.layers.0.units=8,16,32"),
    ("training.metrics=[f1],[f1,roc_auc],null", "output=a,'b c',\"1\""),
    ("backend.recompute=true,false", "data.split.fold=0,1,null", "data.split.folds=5"),
    ("data.split={validation:0.2}", "data.split.test=0.1,0.2"),
    ("data.split.test=0.1,0.2", "data.split={validation:0.2,test:0.3}"),
    ("experiment=bn,dropout", "seed=0,1", "optimizer.learning_rate=0.1,0.2"),
    ("tracking.uri='sqlite:///${seed}.db'", "seed=1,2"),
    ("training.early_stopping=null,{patience:2}", "seed=1,2"),
    ("experiment=bn_learning_rate", "arm=plain,bn", "seed=0,1"),
    ("+sweep=seeds",),
    ("experiment=bn", "tracking=none"),
    ("activation=relu,tanh", "experiment=bn"),
    ("experiment=bn", "data.split.folds=5", "training.early_stopping.patience=3,4"),
    ("optimizer.learning_rate=choice(1,2,0.5)", "tracking.experiment=a,1,true"),
]


@pytest.mark.parametrize("given", SWEEPS, ids=" ".join)
def test_a_copied_config_is_the_composed_one(given: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = forgiving(given, several=True)
    composed: list[int] = []
    counted: Callable[..., object] = jobs.Configs._compose

    def compose(self: jobs.Configs, job: object) -> object:
        composed.append(1)
        return counted(self, job)

    monkeypatch.setattr(jobs.Configs, "_compose", compose)

    def work(config: object) -> None:
        found = planned(sweep_params(), overrides)
        shared = jobs.Configs(config)
        copies = [shared._plain(job) for job in found]
        made = len(composed)
        whole = [resolved(shared._compose(job)) for job in found]
        assert copies == whole
        assert [list(copy) for copy in copies] == [list(one) for one in whole]
        if "optimizer.learning_rate=0.1,1e-2,3e-05" in given:
            assert made == 0 and len(found) == 6  # what they have in common is composed before

    assert run_hydra([*without_several(overrides), "hydra.mode=RUN"], work) == 0
