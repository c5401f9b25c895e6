"""The `training` group."""

from __future__ import annotations

from pipeline.records import record, setting


@record
class EarlyStopping:
    """Stops when `metric` has not improved by `min_delta` for `patience` epochs; the best weights are restored."""

    metric: str = setting("loss/validation")
    patience: int = setting(5, least=1)
    min_delta: float = setting(0.0, least=0)


@record
class Training:
    """How long and in what portions: `epochs` passes over the training part, `batch_size` rows a step; what fills no batch is left out.

    epochs    null leaves the end to the `budget`
    metrics   measured on the validation part after each epoch beside the loss; null: accuracy, or rmse, mae and r2 (see scores.py)
    """

    epochs: int | None = setting(20, least=1)
    batch_size: int = setting(64, least=1)
    metrics: tuple[str, ...] | None = setting(None)
    early_stopping: EarlyStopping | None = setting(None)
