"""The recipe: techniques that are no layer of their own.

initialization.py  how weights start
regularization.py  dropout, penalties, clipping, label smoothing: one record
penalty.py         a penalty that is a formula
augmentation.py    random changes of training images
averaging.py       averages of the weights, of which predictions are made
losses.py          what is minimized
schedule.py        what a schedule is: its record and its rule
schedules.py       the learning rate as a function of the step
course.py          how long a training is and where it stands
plateau.py         the schedule that watches the validation loss
"""
