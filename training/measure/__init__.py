"""Figures: of the encoder, of its baseline, of a bundle on closed tickets."""
