"""Figures of a bundle: overall, by kind of ticket, and its errors."""
