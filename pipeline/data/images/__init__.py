"""Folders of PNG and JPEG images.

image.py      one file -> its pixels, in the form that the set has
listing.py    which images there are, by part and class, in an order that no file system decides
folder.py     all of them, converted once to one mapped array
report.py     what task=data tells of them
"""
