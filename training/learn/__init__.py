"""Rows → weights: the base encoder, the network on top of it, and its fine-tuning."""
