"""Linear models beside the encoder: on its frozen vectors, and on wordpieces."""
