"""A run, a sweep or several runs as one document, from their folders alone: the question, the data, what differs, curves, tables.

parts.py     what a document is made of: headings, text, tables, charts
read.py      run folders and sweep folders -> what is told of them
charts.py    charts as Vega-Lite specifications
answers.py   charts of what a run answered to its test part
differences.py  what differs between runs -> parts
contents.py  what is told -> parts, in their order
html.py      parts -> one page that works offline
text.py      parts -> Markdown, LaTeX, CSV
task.py      task=report
compare.py   task=compare
"""
