"""What papers and other tools call an option or a key that has another name here; a hint names ours."""

from __future__ import annotations

__all__ = ["KEYS", "OPTIONS"]

KEYS = {  # a key at the top -> its path here
    "lr": "optimizer.learning_rate",
    "learning_rate": "optimizer.learning_rate",
    "momentum": "optimizer.momentum",
    "batch_size": "training.batch_size",
    "epochs": "training.epochs",
    "dropout": "regularization=dropout regularization.rate",
    "model": "architecture",
    "dataset": "data",
    "target": "data.target",
    "patience": "training.early_stopping.patience",
    "metrics": "training.metrics",
    "random_state": "seed",
    "device": "backend",
    "dtype": "precision",
}

OPTIONS: dict[str, dict[str, str]] = {  # a group or a choice -> another name of an option -> its name here
    "activation": {
        "swish": "silu",
        "logistic": "sigmoid",
        "linear": "identity",
        "none": "identity",
        "lrelu": "leaky_relu",
    },
    "architecture": {
        "resnet": "resnet20",
        "vgg": "vgg_small",
        "cnn": "cnn_small",
        "perceptron": "linear",
        "autoencoder": "conv_autoencoder",
    },
    "averaging": {"exponential": "ema", "polyak": "ema", "stochastic_weight_averaging": "swa", "off": "none"},
    "augmentation": {"translate": "shift", "mirror": "flip", "hflip": "flip"},
    "backend": {"gpu": "cupy", "cuda": "cupy", "cpu": "numpy", "native": "numpy", "llvm": "numpy"},
    "data": {
        "fashion": "fashion_mnist",
        "mnist_fashion": "fashion_mnist",
        "moons": "two_moons",
        "cancer": "breast_cancer",
        "circles": "rings",
        "tsv": "table",
        "json": "table",
        "jsonl": "table",
        "sqlite": "sql",
        "duckdb": "sql",
        "database": "sql",
        "numpy": "npy",
    },
    "initialization": {"glorot": "xavier", "kaiming": "he", "msra": "he", "gaussian": "normal", "zero": "zeros"},
    "loss": {
        "mse": "mean_squared_error",
        "l2": "mean_squared_error",
        "mae": "mean_absolute",
        "l1": "mean_absolute",
        "smooth_l1": "huber",
        "cross_entropy": "softmax_cross_entropy",
        "categorical_cross_entropy": "softmax_cross_entropy",
        "log_loss": "softmax_cross_entropy",
        "nll": "softmax_cross_entropy",
        "bce": "binary_cross_entropy",
        "svm": "hinge",
    },
    "normalization": {"bn": "batch", "ln": "layer", "gn": "group", "in": "instance"},
    "optimizer": {"nag": "nesterov", "heavy_ball": "momentum", "gd": "sgd"},
    "preprocessing": {"zscore": "standardize", "standard": "standardize", "normalize": "standardize", "min_max": "minmax"},
    "regularization": {"ridge": "l2", "lasso": "l1", "gradient_clipping": "clip_norm", "clip": "clip_norm"},
    "schedule": {"onecycle": "one_cycle", "1cycle": "one_cycle", "plateau": "reduce_on_plateau", "linear": "polynomial"},
    "task": {"fit": "train", "test": "evaluate", "eval": "evaluate", "infer": "predict", "lr_finder": "lr_range", "demo": "demonstrate"},
    "tracking": {"off": "none", "false": "none"},
    "training": {"earlystopping": "early_stopping"},
}
