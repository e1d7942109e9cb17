"""The Grafana dashboard, made by code: `make dashboard` writes it into the monitoring component.

`outside.py` and `inside.py` say what is shown, `charts.py` draws it with Grafana's own types, `build.py` puts rows and
variables together.
"""
