"""`python -m service.cli.healthcheck`: what an image's HEALTHCHECK runs, since a slim image has no curl.

Healthy is a process that answers and has once been ready (`/startupz`, see `management.py`): Docker has one verdict
for "may others start?" and for "is it to be replaced?", and a drain or a repair is a reason for neither.
"""

import http.client
import os
import sys

PORT = 9090
"""The setting's default, written again: importing the settings costs a fifth of a second of CPU at every check."""
TIMEOUT_SECONDS = 4
"""Below HEALTHCHECK's own, so that it is this that tells what is wrong."""


def main() -> int:
    """The exit status: 0 healthy, 1 not, with one line saying why."""
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
