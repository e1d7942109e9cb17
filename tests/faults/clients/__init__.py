"""Clients that send raw bytes, whole requests, or load, and record how each request ended."""
