"""`python -m service` with a deliberate fault: the parser of tickets raises, and the message quotes the ticket.

`serving(…, module="tests.faults.servers.failing")` starts it.
"""

import sys

from service.api import routes
from service.cli.main import main


def broken(body: bytes) -> None:
    """The message quotes its input, as in many libraries."""
    try:
        raise ValueError(body.decode("latin-1"))
    except ValueError as error:
        raise KeyError(body) from error


if __name__ == "__main__":
    routes.parse_route = broken  # type: ignore[assignment]
    sys.exit(main(sys.argv[1:]))
