"""Spans of the requests on the public port, where the setting `traces` asks for them.

`recording.py` is what the rest of the service sees, and knows no OpenTelemetry; `spans.py` is the only file that
imports it, and only where traces are on; `traces.py` opens and closes it.
"""
