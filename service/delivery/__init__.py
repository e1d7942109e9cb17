"""Fetches a bundle into the folder that the service reads: `python -m service fetch`, in an init container or by hand.

`fetch.py` calls the steps: `object_store.py` → `download.py` → `archive.py` → `store.py`.
"""
