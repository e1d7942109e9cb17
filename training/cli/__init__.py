"""The command line: arguments in, a few lines out. Exit 0, or 2 with one line that says what to do."""

from training.cli.app import main

__all__ = ["main"]
