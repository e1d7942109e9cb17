"""The terminal: `python -m service` and its commands."""
