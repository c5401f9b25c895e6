"""The configs whose plans, programs and bits are on record: one or more for each option that changes what is compiled."""

from __future__ import annotations

from dataclasses import dataclass

IMAGES = ("data=npz", "data.input_shape=[12,12,3]", "data.classes=5")
SMALL = "architecture.layers=[{kind: dense, units: 24}, {kind: dense, units: 16}]"
CONVOLUTIONS = (
    "architecture.layers=[{kind: conv, channels: 8, kernel: 3}, {kind: max_pool, kernel: 2}, {kind: conv, channels: 16, kernel: 3},"
    " {kind: global_average_pool}, {kind: dense, units: 12}]"
)
JOINS = (
    "architecture.layers=[{kind: conv, channels: 8, kernel: 3, name: a}, {kind: conv, channels: 8, kernel: 3, name: b},"
    " {kind: add, inputs: [a, b], name: c}, {kind: concat, inputs: [a, c]}, {kind: average_pool, kernel: 2}, {kind: flatten}]"
)
DECODER = (
    "architecture.layers=[{kind: conv, channels: 4, kernel: 3, stride: 2, padding: 1},"
    " {kind: conv_transpose, channels: 6, kernel: 3, stride: 2, padding: 1, output_padding: 1},"
    " {kind: reshape, shape: [864]}, {kind: dense, units: 10}]"
)


@dataclass(frozen=True, kw_only=True)
class Golden:
    """A config, by its overrides, and how it is run.

    steps     of training that are on record
    seeds     of the trials of a stack; one: a program of its own
    loads     whether the weights are loaded, so that no number comes from NumPy's log and cos, whose last bit differs between machines
    slow      whether its native code takes long to make
    """

    name: str
    overrides: tuple[str, ...]
    steps: int = 20
    seeds: tuple[int, ...] = (0,)
    loads: bool = False
    slow: bool = False


def _small(group: str, *options: str, base: tuple[str, ...] = (SMALL,)) -> list[Golden]:
    return [
        Golden(name=f"{group}/{option.split()[0]}", overrides=(*base, f"{group}={option.split()[0]}", *option.split()[1:]))
        for option in options
    ]


def _in_float64() -> list[Golden]:
    """Loaded weights and a constant learning rate: the same bits on every machine that multiplies and adds in one instruction."""
    recipes = {
        "plain": (SMALL, "optimizer=momentum"),
        "batch_norm": (SMALL, "normalization=batch", "regularization=dropout", "optimizer=adam"),
        "layer_norm": (SMALL, "normalization=layer", "activation=gelu", "optimizer=rmsprop"),
        "cnn": (CONVOLUTIONS, *IMAGES, "normalization=batch", "optimizer=nesterov"),
        "joins": (JOINS, *IMAGES, "normalization=group", "normalization.groups=4", "activation=silu"),
        "decoder": (DECODER, *IMAGES, "activation=elu", "optimizer=sgd"),
        "regression": (SMALL, "data=diabetes", "loss=huber", "regularization=elastic_net", "optimizer=adagrad"),
    }
    return [
        Golden(name=f"float64/{name}", overrides=(*given, "precision=float64", "schedule=constant"), loads=True)
        for name, given in recipes.items()
    ]


CASES: tuple[Golden, ...] = (
    *(
        Golden(name=f"architecture/{name}", overrides=(f"architecture={name}", "training.batch_size=32"))
        for name in ("mlp", "mlp_small", "maxout_mlp", "softmax_regression", "linear", "cnn_small")
    ),
    Golden(name="architecture/lenet", overrides=("architecture=lenet", *IMAGES, "training.batch_size=8")),
    Golden(name="architecture/vgg_small", overrides=("architecture=vgg_small", "training.batch_size=8"), steps=5, slow=True),
    Golden(name="architecture/resnet20", overrides=("architecture=resnet20", *IMAGES, "training.batch_size=8"), steps=5, slow=True),
    Golden(
        name="architecture/conv_autoencoder",
        overrides=("architecture=conv_autoencoder", "data.task=reconstruction", "training.batch_size=8"),
    ),
    Golden(name="architecture/logistic_regression", overrides=("architecture=logistic_regression", "data=breast_cancer", "loss=logistic")),
    Golden(name="architecture/linear_regression", overrides=("architecture=linear_regression", "data=diabetes")),
    Golden(name="layers/joins", overrides=(JOINS, *IMAGES)),
    Golden(name="layers/decoder", overrides=(DECODER, *IMAGES)),
    *_small("normalization", "none", "batch", "layer", "group"),
    *(
        Golden(name=f"normalization/{name}_post", overrides=(SMALL, f"normalization={name}", "normalization.position=post"))
        for name in ("batch", "layer")
    ),
    Golden(name="normalization/population", overrides=(SMALL, "normalization=batch", "normalization.statistics=population")),
    *(
        Golden(
            name=f"normalization/{name}_images", overrides=(CONVOLUTIONS, *IMAGES, "training.batch_size=8", f"normalization={name}", *more)
        )
        for name, more in {"batch": (), "layer": (), "group": ("normalization.groups=4",)}.items()
    ),
    Golden(
        name="normalization/instance_images",
        overrides=(
            "architecture.layers=[{kind: conv, channels: 8, kernel: 3}, {kind: flatten}]",
            *IMAGES,
            "training.batch_size=8",
            "normalization=instance",
        ),
    ),
    *_small(
        "activation",
        *("identity", "leaky_relu", "prelu", "elu", "gelu", "silu", "softplus", "tanh", "sigmoid", "maxout", "softmax"),
    ),
    Golden(name="activation/gelu_exact", overrides=(SMALL, "activation=gelu", "activation.approximate=none")),
    *_small(
        "initialization",
        *("zeros", "constant", "normal", "uniform", "lecun", "xavier", "caffe_xavier", "caffe_msra", "orthogonal", "sparse", "rand"),
    ),
    *_small(
        "optimizer",
        *("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamw", "amsgrad", "nadam"),
    ),
    Golden(name="optimizer/momentum_ema", overrides=(SMALL, "optimizer=momentum", "optimizer.convention=ema")),
    *_small(
        "schedule",
        *("step schedule.every=5", "exponential schedule.every=5", "inverse_time schedule.every=5", "inverse_sqrt schedule.every=5"),
        *("polynomial", "cosine", "one_cycle", "cyclic schedule.half_cycle=4", "reduce_on_plateau"),
    ),
    Golden(name="schedule/warmup", overrides=(SMALL, "schedule=cosine", "schedule.warmup=6")),
    Golden(name="schedule/reset", overrides=(SMALL, "schedule=step", "schedule.every=5", "schedule.state_on_change=reset")),
    *_small(
        "regularization",
        *(
            "dropout",
            "traditional_dropout",
            "l1",
            "l2",
            "elastic_net",
            "weight_decay",
            "max_norm",
            "label_smoothing",
            "clip_norm",
            "clip_value",
        ),
    ),
    *_small("loss", "hinge", "softmax_cross_entropy"),
    *(
        Golden(name=f"loss/{name}", overrides=(SMALL, "data=diabetes", f"loss={name}"))
        for name in ("huber", "mean_absolute", "mean_squared_error")
    ),
    Golden(name="loss/class_weights", overrides=(SMALL, "data=iris", "loss=softmax_cross_entropy", "loss.class_weights=[1,2,3]")),
    *_small(
        "augmentation",
        "shift",
        "crop",
        "flip",
        "flip_shift",
        base=("architecture.layers=[{kind: conv, channels: 4, kernel: 3}, {kind: flatten}]",),
    ),
    Golden(name="backend/recompute", overrides=(CONVOLUTIONS, *IMAGES, "normalization=batch", "activation=gelu", "backend.recompute=true")),
    Golden(name="experiment/bn", overrides=("+experiment=bn",)),
    Golden(name="experiment/dropout", overrides=("+experiment=dropout",)),
    Golden(name="experiment/baseline", overrides=("+experiment=baseline",)),
    Golden(name="experiment/cnn", overrides=("+experiment=cnn", "training.batch_size=32")),
    Golden(name="experiment/autoencoder", overrides=("+experiment=autoencoder", "training.batch_size=16")),
    Golden(name="experiment/gradcheck_all", overrides=("+experiment=gradcheck_all", "task=train"), steps=3, slow=True),
    *(
        Golden(name=f"experiment/{name}", overrides=(f"+experiment={name}", f"arm={arm}"))
        for name, arm in {
            "activation_zoo": "prelu",
            "batch_budget": "b8",
            "bn_learning_rate": "batch_norm",
            "bn_vs_dropout": "both",
            "dropout_modes": "traditional",
            "init_rings": "he",
            "pooling": "average",
        }.items()
    ),
    Golden(  # the values are those that the experiment drew for its fourth trial when it was recorded
        name="experiment/random_search",
        overrides=("+experiment=random_search", "optimizer.learning_rate=0.0001931", "optimizer.momentum=0.980733"),
    ),
    Golden(name="stack/three", overrides=(SMALL, "normalization=batch", "regularization=dropout"), seeds=(0, 1, 2)),
    Golden(name="stack/three_cnn", overrides=(CONVOLUTIONS, *IMAGES, "training.batch_size=8"), seeds=(5, 6, 7)),
    *_in_float64(),
)
