"""The training doctor: what is measured of a training becomes diagnoses, each with its evidence, its reason and one override.

kept.py      states and losses of a training, kept while it goes on
looks.py     these looked at when it is over, in a bounded share of its time
case.py      all that the rules are told of a training
remedies.py  overrides that reach what they are to change
begin.py     rules about what a training begins with: its data, its weights, its first gradients
course.py    rules about how the loss goes
inside.py    rules about what became of units, weights and statistics
diagnose.py  the rules in their order, and what explains what
told.py      diagnoses as lines
"""
