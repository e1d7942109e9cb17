"""The command line: `python -m service` and its commands."""
