"""What the other rooms need of disk and memory.

files.py      reads a file or a folder that the user named, with every refusal of the system as one sentence
progress.py   how far the reading of a long file is
memory.py     how much memory this process may use
cache.py      what is converted once and mapped into memory ever after, by all runs and jobs
"""
