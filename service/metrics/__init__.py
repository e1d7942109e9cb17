"""The Prometheus series, all made in one place."""
