"""What a terminal shows, for every task.

console.py  the terminal, one line at a time
tables.py   tables of results
wording.py  numbers as people read them
"""
