"""The training doctor: what is measured of a training becomes diagnoses, each with its evidence, its reason and one override.

kept.py      states and losses of a training, kept while it goes on
looks.py     these looked at when it is over, in a bounded share of its time
"""
