"""The fault harness: trainings whose disk, server, clock and processes fail, a few in each run of the tests, many in `make soak`.

disk.py     a process that fails at the n-th call to the disk: killed there, or told that the disk is full or broken
server.py   servers that are slow, hang, drip, vanish, or ask for a long wait
"""
