"""Threads in native code.

pool.py     the threads of a process and the jobs they share
barrier.py  where the threads of a step meet
core.py     on which core a thread runs
"""
