"""Weights → ONNX variants, each with its gate, plus golden rows and provenance."""
