"""From a request to a decision: REST, batching, onnxruntime. Imports `models`, never `training`."""
