"""Access control: API keys with their roles and rates, read from one file and reloaded when it changes; the audit log.

`http/authorize.py` calls this package for every guarded route; the package itself has no HTTP code.
"""
