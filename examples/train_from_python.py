"""Trains a network on the digits that scikit-learn ships, loads it again from its run folder, and predicts.

python examples/train_from_python.py
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

import pipeline

# What `python -m pipeline +experiment=bn ...` would train: a list of overrides, each as on the command line.
cfg = pipeline.compose(["+experiment=bn", "optimizer.learning_rate=0.01", "training.epochs=5", "tracking=none"])

# Trains in the working directory and keeps the run in a folder under runs/.
result = pipeline.train(cfg, quiet=True)
print(result.history[["loss/train", "loss/validation", "accuracy/validation"]].round(3))  # a table of pandas, a row an epoch
print(f"test accuracy {result.metrics['accuracy/test']:.1%}, kept in {result.folder.parent.name}/")

# What was trained is in the folder: weights, and the preprocessing as it was fitted. It takes rows as they come.
trained = pipeline.load(result.folder)
images = load_digits().images[:, :, :, np.newaxis]  # [N, 8, 8, 1]
probabilities = trained.predict(images[:5])  # [5, 10]
print("predicted", probabilities.argmax(axis=1).tolist(), "from images of", load_digits().target[:5].tolist())
