"""A question to a sweep: does a larger batch ask for a larger learning rate?  Two batch sizes, two rates, three seeds, one table.

python examples/sweep_and_table.py

The same on the command line, with its table in MLflow too:
python -m pipeline -m data=wine optimizer=sgd training.batch_size=8,64 optimizer.learning_rate=0.02,0.2 seed=0,1,2
"""

from __future__ import annotations

from itertools import product

import pipeline
from pipeline.sweeps import comparison
from pipeline.sweeps.table import summarize_sweep

# What all trials have in common.
COMMON = ("data=wine", "architecture=mlp_small", "optimizer=sgd", "training.epochs=4", "tracking=none")

folders = []
for batch, rate, seed in product((8, 64), (0.02, 0.2), (0, 1, 2)):
    cfg = pipeline.compose([*COMMON, f"training.batch_size={batch}", f"optimizer.learning_rate={rate}", f"seed={seed}"])
    folders.append(pipeline.train(cfg, quiet=True).folder)

# A sweep is what its run folders say: which settings differ, what came out, which trial is best.
sweep = summarize_sweep("batch size and learning rate", folders)
print(f"{len(sweep.trials)} trials, ranked by {sweep.metric}; they differ in {', '.join(sweep.params)}\n")

# Trials that differ in the seed alone are one arm: its mean with a 95 % interval, and its difference from the best, seed by seed.
arms = comparison.compare(sweep)
print(comparison.markdown(sweep, arms))
