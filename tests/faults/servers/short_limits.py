"""`python -m service` with shorter time limits, so that tests need not wait for the production limits.

`serving(…, module="tests.faults.servers.short_limits")` starts it.
"""

import sys
from dataclasses import replace
from functools import partial

from service import app
from service.cli.main import main
from service.http.body import BodyReader
from service.server import serve
from service.server.limits import MANAGEMENT, PUBLIC

SHORT = replace(PUBLIC, head_seconds=0.6, closing_seconds=1.0)
SHORT_BODY_SECONDS = 1.2

if __name__ == "__main__":
    serve.PUBLIC = SHORT
    serve.MANAGEMENT = replace(MANAGEMENT, head_seconds=SHORT.head_seconds, closing_seconds=SHORT.closing_seconds)
    app.BodyReader = partial(BodyReader, SHORT_BODY_SECONDS)  # type: ignore[misc, assignment]
    sys.exit(main(sys.argv[1:]))
