"""Runnable examples: `demo` (`make demo`), and `loop` (`make loop`), a quarter of a made-up helpdesk's life.

They use only the two command lines and REST, as a user does; they import nothing of the service.
"""
