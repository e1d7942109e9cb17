"""Shared by tests: a tiny real model and its bundle, a running service, a client."""
