"""Hostile input, overload and faults as tables of cases, sent to the real service over real sockets."""
