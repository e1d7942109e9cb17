"""Measures which plan runs a bundle best on this machine."""
