"""Overload: bursts of requests, and the memory that they take."""
