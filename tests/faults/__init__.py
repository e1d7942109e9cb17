"""The catalogue of faults, as tables of cases, played against the real service over real sockets."""
