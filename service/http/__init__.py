"""The HTTP layer of every request: request id, metrics and logs, authorization, body limits, the table of errors."""
