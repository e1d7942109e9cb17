"""Weights → ONNX variants, each behind its gate, with golden rows and provenance."""
