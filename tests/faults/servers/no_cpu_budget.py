"""`python -m service` without a CPU budget for reading: a ticket with more than a few budget checks is given up.

`serving(…, module="tests.faults.servers.no_cpu_budget")` starts it.
"""

import sys

from service.cli.main import main
from service.routing import cpu_pool
from service.routing import read as reading

if __name__ == "__main__":
    reading.MAIL_SECONDS = reading.TEXT_SECONDS = cpu_pool.INLINE_SECONDS = 0.0
    sys.exit(main(sys.argv[1:]))
