"""Bringing a bundle to where it is served: `python -m service fetch`, run by an init container or by hand.

`fetch.py` tells the story: `address.py` → `sources.py` (`web.py`, `registry.py`, `objects.py`) → `download.py` →
`archive.py` → `store.py`. Knows `models`, and nothing of the serving beside it.
"""
