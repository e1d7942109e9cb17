"""Who may call: keys with their roles and rates, read from one file and followed while it changes; the audit log.

`http/authorization.py` asks it at every guarded route; it knows no HTTP itself.
"""
