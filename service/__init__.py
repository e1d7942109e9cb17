"""From a request to a decision: REST, batching, onnxruntime. Imports `models`, never `training`."""

VERSION = "0.1.0"
"""Same as in pyproject.toml, which the image does not contain."""
