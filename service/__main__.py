"""`python -m service`: serve the API, or run a command of `service/cli`.

An error that the user can fix is one line on standard error and exit status 2, without a traceback.
"""

import sys

from service.cli.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
