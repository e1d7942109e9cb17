"""Bundles beside the serving one: a shadow computes and does not answer, a canary answers a share.

`POST /admin/challenger` puts one on record, and every replica follows the record within `POLL_SECONDS`
(`challengers.py`). The canary is an engine of the router (`routing/canary.py`). The shadow is a process of its own
(`shadow.py`, `worker.py`): the kernel runs it only when nothing else wants the core, it holds no lock of the service,
and its crash or its memory's end is its own.
"""
