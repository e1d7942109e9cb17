"""From a request to a decision: REST, batching, onnxruntime. Knows `models`, never `training`."""
