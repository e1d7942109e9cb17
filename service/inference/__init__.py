"""From token ids to logits: queue, batches, onnxruntime sessions, and the plan for this machine."""
