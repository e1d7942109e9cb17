"""Bundles: damaged, forged and half-written folders."""
