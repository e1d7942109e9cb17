"""`python -m service.cli.healthcheck`: the image's HEALTHCHECK command, since a slim image has no curl.

A process is healthy if it answers and has been ready once (`/startupz`, see `admin/routes.py`). Docker uses one status
both to start dependent containers and to restart this one: a drain, or the replacement of a failed model session, must
do neither.
"""

import http.client
import os
import sys

PORT = 9090
"""The default of the setting, repeated here: importing the settings costs 0.2 s of CPU at every check."""
TIMEOUT_SECONDS = 4
"""Less than the timeout of HEALTHCHECK, so that this command can print the reason."""


def main() -> int:
    """Return exit status 0 if healthy, else 1; print one line with the reason."""
    port = int(os.environ.get("TICKET_ROUTER_MANAGEMENT_PORT") or PORT)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/startupz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        print(f"unhealthy: no answer on the management port {port} ({error})")  # noqa: T201 - Docker keeps it
        return 1
    finally:
        connection.close()
    print("healthy" if status == 200 else f"unhealthy: /startupz answers {status}")  # noqa: T201 - Docker keeps it
    return 0 if status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
