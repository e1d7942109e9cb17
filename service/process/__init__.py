"""The process around the application: sockets, signals, start and stop."""
