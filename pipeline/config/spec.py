"""Plain config -> `Experiment`: the gate behind which no config library exists.

`experiment(plain)` reads nested dicts strictly (unknown keys, wrong types, unknown kinds, bounds) and then applies the rules that
join several fields, listed in RULES. Every rejection is a ConfigError that names the config path, the value, the rule and the fix.
What needs the data itself (number of classes, rows in the training part) is checked where the data is known.
`to_plain(experiment)` is the way back: the whole resolved config, as written to a run's config.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, cast

import yaml

from pipeline.config.automatic import with_auto, without_auto
from pipeline.config.experiment import TASK_SETTINGS, Experiment
from pipeline.data.settings import own_settings
from pipeline.errors import ConfigError, nearest
from pipeline.extend.declared import KINDS, Declared, provided
from pipeline.extend.load import is_loaded, left_out
from pipeline.formula.declared import WithFormulas
from pipeline.layers import LAYERS
from pipeline.layers.activate import ActivationLayer
from pipeline.layers.activation import ACTIVATIONS
from pipeline.layers.add import Add
from pipeline.layers.dense import Dense
from pipeline.layers.maxout import Maxout
from pipeline.layers.names import INPUT, layer_names
from pipeline.layers.part import Layer, Merge, OneInput
from pipeline.layers.weighted import Weighted
from pipeline.optimizers.adamw import AdamW
from pipeline.preprocessing.steps import STEPS
from pipeline.recipe import averaging
from pipeline.recipe.initialization import INITIALIZATIONS, Initialization, Uniform
from pipeline.recipe.losses import LOSSES, Auto, takes
from pipeline.recipe.plateau import ReduceOnPlateau
from pipeline.recipe.regularization import Regularization
from pipeline.recipe.schedules import SCHEDULES, needs_total
from pipeline.records import plain, read
from pipeline.training.budget import check as check_budget
from pipeline.training.budget import end
from pipeline.training.callbacks import CALLBACKS

SAID_IF_GIVEN = (*TASK_SETTINGS, "extension", "extensions", "callbacks")  # keys that a run's config has where there is something to say
CONF = Path(__file__).resolve().parents[2] / "conf"
# the slots of layers whose groups have formulas as options
SLOTS: Mapping[str, Mapping[str, type]] = {"activation": ACTIVATIONS, "initialization": INITIALIZATIONS}


def experiment(config: Mapping[str, Any]) -> Experiment:
    """The experiment that `config` (nested plain dicts; what is left out has its default) describes.  Raises ConfigError."""
    given, automatic = without_auto(with_options(config)) if isinstance(config, Mapping) else (config, ())
    if isinstance(given, Mapping):
        _check_loaded(given.get("extensions"))
    try:
        result = _with_extensions(replace(read(Experiment, given, at=""), automatic=automatic))
    except ConfigError as error:
        if not error.rule.startswith("unknown ") or error.rule == "unknown key" or not (more := left_out()):
            raise
        raise ConfigError(at=error.at, got=error.got, rule=error.rule, hint=f"{error.hint}; {more}") from None
    if result.architecture.head == "none":
        result = replace(result, architecture=replace(result.architecture, head=None))
    for rule in RULES:
        rule(result)
    return _completed(result)


def _check_loaded(names: object) -> None:
    """Whether the extensions that a config names are loaded, before their kinds are looked for.  Imports nothing.  Raises ConfigError."""
    for name in names if isinstance(names, list | tuple) else ():
        if isinstance(name, str) and not is_loaded(name):
            hint = f"give extensions=[{name}] on the command line, or import it first"
            raise ConfigError(at="extensions", got=name, rule="is not loaded", hint=hint)


def _with_extensions(config: Experiment) -> Experiment:
    """With the modules that the kinds of the config come from among its `extensions`."""
    named = dict.fromkeys(config.extensions)
    for kind in own_kinds(config):
        if not any(kind in provided(name) for name in named):
            named[kind.extension] = None
    return replace(config, extensions=tuple(named))


def own_kinds(config: Experiment) -> Iterator[Declared]:
    """The kinds of extensions that the config uses."""
    used = [("layer", LAYERS.kind_of(layer)) for layer in config.architecture.layers]
    used += [("metric", name) for name in config.training.named]
    used += [("data source", config.data.kind), *(("preprocessing step", step) for step in config.preprocessing.steps)]
    used += [("callback", CALLBACKS.kind_of(one)) for one in config.callbacks]
    return (KINDS[key] for key in used if key in KINDS)


def with_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """`config` with what a file of the group says where a layer's slot names one that is no kind: `activation: mish`."""
    architecture = config.get("architecture")
    layers = architecture.get("layers") if isinstance(architecture, Mapping) else None
    if not isinstance(architecture, Mapping) or not isinstance(layers, list):
        return dict(config)
    return {**config, "architecture": {**architecture, "layers": [_with_options(layer) for layer in layers]}}


def _with_options(layer: Any) -> Any:
    if not isinstance(layer, Mapping):
        return layer
    return {slot: _option(slot, value) if slot in SLOTS else value for slot, value in layer.items()}


def _option(slot: str, value: Any) -> Any:
    """The content of conf/SLOT/VALUE.yaml, where `value` is no kind but the name of that file."""
    name = value if isinstance(value, str) else value.get("kind") if isinstance(value, Mapping) and len(value) == 1 else None
    if not isinstance(name, str) or name in SLOTS[slot] or not re.fullmatch(r"\w{1,100}", name, re.ASCII):
        return value
    file = CONF / slot / f"{name}.yaml"
    return yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else value


def _completed(config: Experiment) -> Experiment:
    """Defaults that depend on other fields, so that a run's config says what it trained with."""
    layers = tuple(
        replace(layer, regularization=layer.regularization.completed()) if isinstance(layer, Weighted) and layer.regularization else layer
        for layer in config.architecture.layers
    )
    data, steps = config.data, config.preprocessing
    settings = {name: plain(read(own, steps.settings.get(name, {}), at="")) for name in steps.steps if (own := STEPS[name].own) is not None}
    return replace(
        config,
        architecture=replace(config.architecture, layers=layers),
        regularization=config.regularization.completed(),
        data=replace(data, settings=plain(own_settings(data)) or {}),
        preprocessing=replace(steps, settings=settings),
    )


def to_plain(config: Experiment) -> dict[str, Any]:
    """The whole config as nested plain dicts, without the settings of other tasks; `experiment(to_plain(e)) == e`."""
    written = with_auto(cast("dict[str, Any]", plain(replace(config, automatic=()))), config.automatic)
    del written["automatic"]
    for group in (written["data"], written["preprocessing"]):
        if not group["settings"]:
            del group["settings"]
    return {name: value for name, value in written.items() if name not in SAID_IF_GIVEN or value}


def _layers(config: Experiment) -> Iterator[tuple[str, Layer]]:
    """Config path and record of each layer."""
    for index, layer in enumerate(config.architecture.layers):
        yield f"architecture.layers[{index}]", layer


def _weighted(config: Experiment) -> Iterator[tuple[str, Weighted]]:
    """Config path and record of each layer with slots of its own."""
    return ((at, layer) for at, layer in _layers(config) if isinstance(layer, Weighted))


def _regularizations(config: Experiment) -> Iterator[tuple[str, Regularization]]:
    """Config path and record of the group and of each layer that has its own."""
    yield "regularization", config.regularization
    for at, layer in _weighted(config):
        if layer.regularization is not None:
            yield f"{at}.regularization", layer.regularization


def _some_layer(config: Experiment) -> None:
    if not config.architecture.layers and config.architecture.head is None:
        raise ConfigError(at="architecture.layers", got=[], rule="no head and no layer", hint="give architecture.head=auto")


def _formulas(config: Experiment) -> None:
    """Every formula can be computed."""
    for at, record in declared_formulas(config):
        try:
            record.check()
        except ConfigError as error:  # it knows the field, not where the record stands
            raise ConfigError(at=f"{at}.{error.at}", got=error.got, rule=error.rule, hint=error.hint) from None


def declared_formulas(value: object, at: str = "") -> Iterator[tuple[str, WithFormulas]]:
    """Config path and record of everything in `value` that is written as a formula."""
    if isinstance(value, WithFormulas):
        yield at, value
    elif is_dataclass(value):
        for field in fields(value):
            yield from declared_formulas(getattr(value, field.name), f"{at}.{field.name}" if at else field.name)
    elif isinstance(value, tuple):
        for index, entry in enumerate(value):
            yield from declared_formulas(entry, f"{at}[{index}]")


def _layer_names(config: Experiment) -> None:
    """Names are words, used once, and not the name that the input of the network has."""
    head = (Dense(units=1),) if config.architecture.head == "auto" else ()
    names = layer_names(config.architecture.layers + head)
    for at, layer in _layers(config):
        if layer.name is None:
            continue
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", layer.name):
            raise ConfigError(at=f"{at}.name", got=layer.name, rule="must be letters, digits and _, a letter first")
        if layer.name == INPUT:
            raise ConfigError(at=f"{at}.name", got=INPUT, rule="is the name of the network's input", hint="use another")
        if names.count(layer.name) > 1:
            raise ConfigError(at=f"{at}.name", got=layer.name, rule="another layer has this name", hint="a name can be used once")


def _layer_inputs(config: Experiment) -> None:
    """A layer's `input` is the network's input or an earlier layer."""
    head = (Dense(units=1),) if config.architecture.head == "auto" else ()
    names = layer_names(config.architecture.layers + head)
    for index, (at, layer) in enumerate(_layers(config)):
        earlier = (INPUT, *names[:index])
        if isinstance(layer, Merge) and len(layer.inputs) < 2:
            got = f"[{', '.join(layer.inputs)}]"
            raise ConfigError(at=f"{at}.inputs", got=got, rule="needs two layers or more", hint="give inputs=[first,second]")
        for field, name in _named_inputs(layer).items():
            if name in names[index:]:
                rule = "a layer cannot read itself" if name == names[index] else "stands after this layer, and layers run in order"
                raise ConfigError(at=f"{at}.{field}", got=name, rule=rule, hint="name an earlier layer, or input")
            if name not in earlier:
                raise ConfigError(at=f"{at}.{field}", got=name, rule="no earlier layer has this name", hint=nearest(name, earlier))


def _named_inputs(layer: Layer) -> dict[str, str]:
    """Field -> the layer that it names."""
    if isinstance(layer, Merge):
        return {f"inputs[{n}]": name for n, name in enumerate(layer.inputs)}
    return {"input": layer.input} if isinstance(layer, OneInput) and layer.input is not None else {}


def _maxout(config: Experiment) -> None:
    """The group's maxout is for layers that make linear pieces; what passes channels on would silently have fewer of them."""
    for at, layer in _layers(config):
        if isinstance(config.activation, Maxout) and isinstance(layer, Add | ActivationLayer) and layer.activation is None:
            hint = f"give {at} an activation of its own"
            raise ConfigError(
                at="activation", got="maxout", rule=f"{LAYERS.kind_of(layer)} makes no linear pieces to choose from", hint=hint
            )


def _dropout(config: Experiment) -> None:
    """A probability without dropout would be silently ignored, and so would one of two."""
    for at, part in _regularizations(config):
        for name, got in (("keep_prob", part.keep_prob), ("rate", part.rate)):
            if part.dropout == "none" and got is not None and part.kept < 1:
                raise ConfigError(at=f"{at}.{name}", got=got, rule="there is no dropout", hint=f"give {at}.dropout=inverted")
        if part.rate is not None and part.keep_prob is not None:
            rule = f"keep_prob = {part.keep_prob} is given too, and rate is 1 - keep_prob"
            raise ConfigError(at=f"{at}.rate", got=part.rate, rule=rule, hint="give one of them, the other as null or not at all")


def _early_stopping(config: Experiment) -> None:
    stopping = config.training.early_stopping
    if (
        stopping is not None
        and stopping.metric.endswith("/validation")
        and config.data.split.validation == 0
        and not config.data.split.folds
    ):
        hint = "give data.split.validation=0.1 or training.early_stopping=null"
        raise ConfigError(at="data.split.validation", got=0.0, rule="early stopping needs a validation part", hint=hint)


def _best_is_kept(config: Experiment) -> None:
    stopping, saving = config.training.early_stopping, config.training.checkpoints
    if stopping is not None and stopping.weights == "best" and not saving.best:
        hint = "leave it out, or give training.early_stopping.weights=last"
        raise ConfigError(at="training.checkpoints.best", got=False, rule="early stopping goes back to the best epoch", hint=hint)
    if config.training.on_divergence == "restore" and not saving.best:
        hint = "leave it out"
        raise ConfigError(at="training.checkpoints.best", got=False, rule="on_divergence=restore goes back to the best epoch", hint=hint)


def _loss_for_task(config: Experiment) -> None:
    """The loss fits what the data is declared to be; with data.task=auto this is checked once the data is known."""
    if isinstance(config.loss, Auto):
        return
    kind, needs, task = LOSSES.kind_of(config.loss), takes(LOSSES.rule(config.loss)), config.data.task
    has = {"classification": "classes", "multilabel": "labels", "regression": "numbers", "reconstruction": "numbers"}.get(task, needs)
    if needs != has:
        raise ConfigError(at="loss.kind", got=kind, rule=f"needs {needs}, and data.task is {task}", hint="use loss=auto")


def _moved_targets(config: Experiment) -> None:
    """An image that is moved after its copy was taken as the target would be learned in its old place."""
    for name, got in config.augmentation.moves():
        if config.data.task == "reconstruction" and got:
            rule = "data.task is reconstruction, and the targets would stay where they are"
            raise ConfigError(at=f"augmentation.{name}", got=got, rule=rule, hint="use augmentation=none")


def _whole_network(config: Experiment) -> None:
    """Clipping and smoothing are one for the network: in a layer's record they would be silently ignored."""
    for at, part in list(_regularizations(config))[1:]:
        whole = (("label_smoothing", part.label_smoothing), ("clip_value", part.clip_value), ("clip_norm", part.clip_norm))
        for name, got in whole:
            if got:
                hint = f"give regularization.{name}={got}"
                raise ConfigError(at=f"{at}.{name}", got=got, rule="holds for the network as a whole", hint=hint)


def _decay_once(config: Experiment) -> None:
    """AdamW and the regularization would each take their part of a weight."""
    if not isinstance(config.optimizer, AdamW):
        return
    for at, part in _regularizations(config):
        if part.weight_decay > 0:
            hint = "use optimizer.weight_decay, or optimizer=adam"
            raise ConfigError(at=f"{at}.weight_decay", got=part.weight_decay, rule="adamw decays the weights itself", hint=hint)


def _from_run(config: Experiment) -> None:
    """A run gives the whole network its tensors, by name."""
    for at, layer in _weighted(config):
        if layer.initialization is not None and layer.initialization.from_run is not None:
            got = layer.initialization.from_run
            hint = f"give initialization.from_run={got}"
            raise ConfigError(at=f"{at}.initialization.from_run", got=got, rule="holds for the network as a whole", hint=hint)


def _uniform_range(config: Experiment) -> None:
    """A range from low to high."""
    places: list[tuple[str, Initialization | None]] = [("initialization", config.initialization)]
    places += [(f"{at}.initialization", layer.initialization) for at, layer in _weighted(config)]
    for at, initialization in places:
        if isinstance(initialization, Uniform) and initialization.low > initialization.high:
            rule = f"must be at least {at}.low, which is {initialization.low}"
            raise ConfigError(at=f"{at}.high", got=initialization.high, rule=rule)


def _learning_rate_range(config: Experiment) -> None:
    """A rate that rises."""
    test = config.lr_range
    if test is not None and test.start >= test.end:
        rule = f"must be above lr_range.start, which is {test.start:g}"
        raise ConfigError(at="lr_range.end", got=test.end, rule=rule)


def _declared_shape(config: Experiment) -> None:
    if config.data.classes is not None and config.data.targets is not None:
        raise ConfigError(at="data.targets", got=config.data.targets, rule="data has classes or targets, not both", hint="leave one out")


def _plateau_minimum(config: Experiment) -> None:
    """A learning rate below its own minimum would never be lowered."""
    rate = config.optimizer.learning_rate
    if isinstance(config.schedule, ReduceOnPlateau) and config.schedule.minimum >= rate:
        rule = f"must be below optimizer.learning_rate, which is {rate}"
        raise ConfigError(at="schedule.minimum", got=config.schedule.minimum, rule=rule)


def _some_end(config: Experiment) -> None:
    """Something ends the training, and a schedule over the whole of it knows when."""
    check_budget(config.training, config.budget)
    by_clock = end(config.training, config.budget, 1).steps is None
    if by_clock and needs_total(config.schedule):
        rule = "needs to know how many steps the training has, and only budget.seconds ends it"
        raise ConfigError(
            at="schedule.kind", got=SCHEDULES.kind_of(config.schedule), rule=rule, hint="give training.epochs or budget.steps too"
        )


def _averaging(config: Experiment) -> None:
    """The average begins at one place, and within the training."""
    averaging.check(config.averaging, config.training.epochs, counted=end(config.training, config.budget, 1).steps is not None)


def _run_and_resume(config: Experiment) -> None:
    if config.run is not None and config.resume is not None:
        raise ConfigError(at="resume", got=config.resume, rule="run and resume exclude each other", hint="resume continues a training")


RULES: tuple[Callable[[Experiment], None], ...] = (
    _formulas,
    _some_layer,
    _layer_names,
    _layer_inputs,
    _maxout,
    _dropout,
    _early_stopping,
    _best_is_kept,
    _loss_for_task,
    _moved_targets,
    _whole_network,
    _decay_once,
    _uniform_range,
    _from_run,
    _learning_rate_range,
    _declared_shape,
    _plateau_minimum,
    _some_end,
    _averaging,
    _run_and_resume,
)
