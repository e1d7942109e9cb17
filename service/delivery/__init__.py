"""Bringing a bundle to where it is served: `python -m service fetch`, run by an init container or by hand.

`fetch.py` tells the story: `object_store.py` → `download.py` → `archive.py` → `store.py`.
"""
