"""The process: uvicorn, its sockets, the limits of a connection, signals, start and stop."""
