"""Adam."""

from __future__ import annotations

from pipeline.records import record, setting


@record
class Adam:
    """Adaptive moments with bias correction (Kingma & Ba 2015, algorithm 1).

    m <- beta1 * m + (1 - beta1) * g;  v <- beta2 * v + (1 - beta2) * g^2
    p <- p - learning_rate * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
    """

    learning_rate: float = setting(1e-3, above=0)
    beta1: float = setting(0.9, least=0, below=1)
    beta2: float = setting(0.999, least=0, below=1)
    epsilon: float = setting(1e-8, above=0)
