"""From a request to a decision: REST, batching, onnxruntime. Knows `models`, never `training`."""

VERSION = "0.1.0"
"""As pyproject.toml has it, which the image does not hold."""
