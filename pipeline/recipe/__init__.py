"""The recipe: techniques that are no layer of their own.

initialization.py  how weights start
regularization.py  dropout, penalties, clipping, label smoothing: one record
augmentation.py    random changes of training images
losses.py          what is minimized
schedules.py       the learning rate as a function of the step
plateau.py         the schedule that watches the validation loss
"""
