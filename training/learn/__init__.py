"""From rows to weights: the base encoder, the network over it, and fine-tuning it."""
