"""Config: what the command line says -> a checked, frozen `Experiment`.

overrides.py      the words of a command line, made forgiving
compose.py        Hydra: overrides -> nested plain dicts; the only files that see Hydra are this one, overrides.py and cli.py
arms.py           the arms of a comparison, laid over a config
spaces.py         search spaces and the points drawn from them
search.py         which trial of a search a config is
task_settings.py  what a task alone is told
experiment.py     the record of a whole experiment
spec.py           plain dicts -> Experiment, with the rules that go over several groups
help.py           what --help prints
"""
