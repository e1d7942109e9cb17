"""From weights to a bundle: ONNX, golden rows, lineage, model card."""
