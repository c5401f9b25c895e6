"""This machine: its processor, its memory, the object code made for it.

processor.py  vector width, registers, cores
memory.py     the state of trials, the arena of a step
cache.py      object code on disk, by the digest of all that decides it
progress.py   what is said while code is made
"""
