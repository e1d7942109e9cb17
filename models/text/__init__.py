"""Ticket → the text that is classified. `prepare` is the entry; the rest are its steps."""
