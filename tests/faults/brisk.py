"""`python -m service` with shorter time limits, so that the suite need not wait for the real ones.

`serving(…, module="tests.faults.brisk")` starts it.
"""

import sys
from dataclasses import replace

from service.cli.main import main
from service.server import serve as serving
from service.server.limits import MANAGEMENT, PUBLIC

SHORT = replace(PUBLIC, head_seconds=0.6, body_seconds=1.2, write_seconds=1.0)

if __name__ == "__main__":
    serving.PUBLIC = SHORT
    serving.MANAGEMENT = replace(MANAGEMENT, head_seconds=SHORT.head_seconds, body_seconds=SHORT.body_seconds)
    sys.exit(main(sys.argv[1:]))
