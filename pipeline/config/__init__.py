"""Config: what the command line says -> a checked, frozen `Experiment`.

overrides.py      the words of a command line, made forgiving
words.py          words that Hydra's grammar has no letters for
synonyms.py       what papers and other tools call an option or a key
claims.py         what the file of an experiment says of itself
compose.py        Hydra: overrides -> nested plain dicts; Hydra is seen by it, others.py, claims.py, overrides.py, words.py, jobs.py,
                  launchers.py
others.py         config files that are not ours: what they may say
jobs.py           the configs of the jobs of a sweep
launchers.py      launchers and sweepers of Hydra, given the jobs of a sweep
given.py          a config that Python gives
arms.py           the arms of a comparison, laid over a config
plain_jobs.py     the configs of a sweep's jobs, begun from Python
searched.py       what a search is asked on the command line
extensions.py     the extensions that the user asks for
task_settings.py  what a task alone is told
sweep_settings.py what a sweep as a whole is told
automatic.py      values that follow the data, until these are known
experiment.py     the record of a whole experiment
spec.py           plain dicts -> Experiment, with the rules that go over several groups
stored.py         the config of a run folder, and a fork's, laid over it
help.py           what --help prints
"""
