"""What is said of the table of a sweep: no winner on one seed, arms that are not told apart, what mattered; and its forms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.sweeps import forms
from pipeline.sweeps.apart import apart
from pipeline.sweeps.comparison import compare, seeds_needed
from pipeline.sweeps.conclusions import at_an_end, conclusions
from pipeline.sweeps.importance import LEAST, importance
from pipeline.sweeps.objective import Objective
from pipeline.sweeps.table import Sweep, Trial
from pipeline.tracking.journal import Start

Values = dict[str, float]


def trial(job: int, params: dict[str, object], metrics: Values, *, status: str = "FINISHED", rung: int | None = None) -> Trial:
    words = {name: str(value) for name, value in params.items()}
    return Trial(
        job=str(job), name="", folder=Path(), status=status, message="", run_id="", params=words, metrics=metrics, curve={}, rung=rung
    )


def sweep(*trials: Trial, metric: str = "accuracy/validation") -> Sweep:
    names = tuple(dict.fromkeys(name for each in trials for name in each.params))
    return Sweep(name="s", metric=metric, params=names, metrics=tuple(trials[0].metrics), trials=trials)


def of_seeds(**accuracies: list[float]) -> Sweep:
    rows = [
        trial(0, {"arm": arm, "seed": seed}, {"accuracy/validation": value, "accuracy/test": value - 0.02})
        for arm, values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    return sweep(*rows)


def said(found: Sweep) -> list[str]:
    return conclusions(found, compare(found), importance(found))


def test_on_one_seed_no_winner_is_named_and_the_best_of_many_is_told_on_the_test_part() -> None:
    rows = [trial(k, {"rate": k}, {"accuracy/validation": 0.9 + k / 100, "accuracy/test": 0.9}) for k in range(4)]
    assert said(sweep(*rows)) == [
        "note: no winner is named: one seed of each, so the order may be luck; seed=0,1,2,3,4 gives means with intervals",
        "accuracy/validation of the best, 93.00 %, was chosen among 4; on the test part it is 90.00 %",
    ]


def test_an_arm_is_named_without_the_parameters_that_its_conditions_rule_out() -> None:
    rows = [trial(s, {"optimizer": "sgd", "seed": s}, {"accuracy/validation": 0.9 + s / 50, "accuracy/test": 0.9}) for s in range(2)]
    rows += [trial(2 + s, {"optimizer": "adam", "beta1": 0.9, "seed": s}, {"accuracy/validation": 0.1 * s}) for s in range(2)]
    assert said(sweep(*rows))[0] == "chosen by accuracy/validation: optimizer=sgd; on the test part 90.00 ± 0.00 %"


def test_a_direction_against_the_name_of_a_metric_is_told() -> None:
    rows = [trial(k, {"rate": k}, {"loss/validation": k / 10, "kept/validation": 1.0}) for k in range(3)]
    asked = (Objective(metric="loss/validation", grows=True), Objective(metric="kept/validation", grows=False))
    found = replace(sweep(*rows, metric="loss/validation"), objectives=asked)
    assert "note: more of loss/validation counts as better, as sweep.direction asks" in said(found)
    assert not any("counts as better" in line for line in said(replace(found, objectives=asked[1:])))


def test_an_arm_of_fewer_runs_is_not_the_best_and_that_it_would_be_is_told() -> None:
    found = of_seeds(a=[0.90, 0.91, 0.92], b=[0.95])
    assert [arm.params["arm"] for arm in compare(found)] == ["a", "b"] and found.best is not None and found.best.params["arm"] == "a"
    told = "note: better in the mean than the best, and below it for the runs that are missing: arm=b (1 of 3)"
    assert told in said(found)
    assert not any("missing" in line for line in said(of_seeds(a=[0.90, 0.91, 0.92], b=[0.85])))


def test_an_arm_that_is_worse_by_the_same_in_each_pair_is_not_said_to_be_as_good() -> None:
    lines = said(of_seeds(a=[1.0, 1.0, 1.0], b=[0.5, 0.5, 0.5]))
    assert "the same difference in every pair, which no test can judge: arm=b" in lines
    assert not any("not told apart" in line for line in lines)


def test_arms_that_are_not_told_apart_are_named_with_what_that_would_take() -> None:
    lines = said(of_seeds(a=[0.90, 0.93, 0.96], b=[0.91, 0.92, 0.94], c=[0.5, 0.53, 0.55]))
    assert lines[0].startswith("chosen by accuracy/validation: arm=a; on the test part 91.00 ± ")
    assert lines[1] == "not told apart from the best by these seeds (p above 0.05): arm=b"
    needed = seeds_needed([0.01, -0.01, -0.02])
    assert lines[2] == f"about {needed} seeds would part the top two, if they differ as these 3 show"


def test_arms_that_are_told_apart_need_no_word() -> None:
    lines = said(of_seeds(a=[0.90, 0.91, 0.92], b=[0.80, 0.811, 0.82]))
    assert len(lines) == 1


def test_equal_arms_are_a_tie_and_none_is_called_chosen() -> None:
    lines = said(of_seeds(a=[0.90, 0.91], b=[0.90, 0.91], c=[0.5, 0.53]))
    assert lines[0] == "a tie by accuracy/validation: arm=a; arm=b have the same mean, and the first stands for them as the best"
    assert not any("chosen by" in line for line in lines)


def test_a_best_arm_of_one_seed_is_no_winner() -> None:
    rows = [
        trial(0, {"arm": "a", "seed": 0}, {"accuracy/validation": 0.9}),
        trial(1, {"arm": "b", "seed": 0}, {"accuracy/validation": 0.8}),
    ]
    assert said(sweep(*rows)) == ["note: no winner is named: of the best there is one of the seeds"]


def test_a_best_number_at_an_end_of_those_tried_is_said_but_not_words_pairs_or_ranges() -> None:
    def tried(*values: object) -> Sweep:
        return sweep(*(trial(k, {"a.rate": value}, {"accuracy/validation": 0.5 + k / 10}) for k, value in enumerate(values)))

    note = "note: the best rate, 0.1, is the most that was tried: something better may lie beyond"
    assert at_an_end(tried(0.001, 0.01, 0.1), (), ()) == [note]
    assert at_an_end(tried(0.001, 0.1, 0.01), (), ()) == []
    for found in (tried(0.01, 0.1), tried("relu", "tanh", "elu")):
        assert at_an_end(found, (), ()) == []
    assert at_an_end(tried(0.001, 0.01, 0.1), (), {"a.rate"}) == []


def test_automatic_values_that_follow_from_what_is_compared_are_said() -> None:
    def begun(optimizer: str, decay: float, told: str) -> Start:
        params = {"optimizer.kind": optimizer, "regularization.weight_decay": str(decay)}
        return Start(params=params, tags={"pipeline.data_notes": f"a note\nautomatic for 1,437 training rows: 20 epochs (440 steps){told}"})

    starts = [begun("adam", 0.3, ", weight decay 0.3"), begun("sgd", 0.0, ""), begun("momentum", 0.0, "")]
    said = "automatic regularization.weight_decay is not the same for all: 0.3 with optimizer=adam, 0.0 with optimizer=sgd,momentum"
    hint = "; give regularization.weight_decay=... to compare the rest alone"
    assert list(apart(starts, ("optimizer",))) == [said + hint]
    assert list(apart(starts, ("optimizer", "regularization"))) == list(apart(starts[1:], ("optimizer",))) == []


def test_no_number_of_seeds_parts_what_is_equal() -> None:
    assert seeds_needed([0.1, -0.1]) is None and seeds_needed([0.001, -0.1, 0.1, 0.0]) is None
    assert seeds_needed([0.1, 0.1000001]) == 2


def points(score: Callable[[float, float, float, str], float], count: int = 64) -> Sweep:
    rng = np.random.default_rng(0)
    rows = []
    for k in range(count):
        a, b, c = rng.random(3).tolist()
        word = str(rng.choice(["relu", "tanh"]))
        rows.append(trial(k, {"rate": 10 ** (-4 * a), "beta": b, "noise": c, "act": word}, {"loss/validation": score(a, b, c, word)}))
    return sweep(*rows, metric="loss/validation")


def test_importance_is_that_of_the_function_that_made_the_scores() -> None:
    found = importance(points(lambda a, b, c, word: (4 * a - 2) ** 2 + 2 * b + 2 * (word == "tanh")))
    assert next(iter(found)) == "rate" and list(found)[-1] == "noise" and found["noise"] < 0.02
    assert sum(found.values()) == 1 or abs(sum(found.values()) - 1) < 1e-9
    assert found["beta"] > 0.03 and found["act"] > 0.03


def test_nothing_is_said_to_matter_where_nothing_does_or_little_is_known() -> None:
    rng = np.random.default_rng(1)
    assert importance(points(lambda a, b, c, word: float(rng.random()))) == {}
    assert importance(points(lambda a, b, c, word: a, count=LEAST - 1)) == {}


def test_pruned_trials_stand_by_their_rung_and_the_front_has_none_of_them() -> None:
    goals = (Objective(metric="accuracy/validation", grows=True), Objective(metric="time/epoch_s", grows=False))
    rows = (
        trial(0, {"a": 0}, {"accuracy/validation": 0.7, "time/epoch_s": 1.0}),
        trial(1, {"a": 1}, {"accuracy/validation": 0.9, "time/epoch_s": 3.0}),
        trial(2, {"a": 2}, {"accuracy/validation": 0.8, "time/epoch_s": 4.0}),
        trial(3, {"a": 3}, {"accuracy/validation": 0.99, "time/epoch_s": 0.1}, status="PRUNED", rung=3),
        trial(4, {"a": 4}, {"accuracy/validation": 0.2, "time/epoch_s": 0.1}, status="PRUNED", rung=9),
    )
    found = Sweep(name="s", metric="accuracy/validation", params=("a",), metrics=tuple(rows[0].metrics), trials=rows, objectives=goals)
    assert [each.job for each in sorted(rows, key=found.rank)] == ["1", "2", "0", "4", "3"]
    assert [each.job for each in found.front()] == ["0", "1"]


def test_latex_escapes_what_it_must() -> None:
    text = forms.latex(["a_b", "share"], [["x&y", "5 % ± 1"], ["z", ""]], bold=0)
    assert text == (
        "\\begin{tabular}{ll}\n\\toprule\na\\_b & share \\\\\n\\midrule\n"
        "\\textbf{x\\&y} & \\textbf{5 \\% $\\pm$ 1} \\\\\nz &  \\\\\n\\bottomrule\n\\end{tabular}\n"
    )
    assert forms.comma_separated(["a", "b"], [["1,5", 'x"y']]) == 'a,b\n"1,5","x""y"\n'
