"""The tests, one folder an area; `cases.py` has one row for each op."""
