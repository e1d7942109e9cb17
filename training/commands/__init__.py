"""One file per command of `python -m training`: each reads top to bottom as what the command does."""
