"""Spans for the requests on the public port, if the setting `traces` is on.

`recording.py` is the interface for the rest of the service and does not depend on OpenTelemetry. Only `spans.py`
imports OpenTelemetry, and is imported only if traces are on. `traces.py` starts and stops it.
"""
