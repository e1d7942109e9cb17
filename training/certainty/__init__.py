"""Honest certainty: temperature, and thresholds that carry a promise."""
