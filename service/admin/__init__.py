"""The management port: probes, metrics, API documentation, status and reload."""
