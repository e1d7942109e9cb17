"""The Prometheus metrics that the service counts."""
