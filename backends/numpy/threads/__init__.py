"""Threads in native code.

pool.py     the threads of a process and the jobs they share
barrier.py  where the threads of a step meet
"""
