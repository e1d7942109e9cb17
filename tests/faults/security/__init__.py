"""Security: access, secrets in what the service writes, metric series, and code that could execute data."""
