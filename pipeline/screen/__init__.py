"""What a terminal shows, for every task.

console.py  the terminal, one line at a time
tables.py   tables of results
page.py     what a notebook shows
wording.py  numbers as people read them
"""
