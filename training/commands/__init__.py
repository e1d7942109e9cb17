"""One file per command of `python -m training`; each file reads top to bottom in the order of the command's steps."""
