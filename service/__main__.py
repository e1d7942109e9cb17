"""`python -m service`: serve, or decide one ticket on the terminal.

Every failure a person can mend is one line on standard error and exit status 2; nothing here shows a traceback.
"""

import sys

from service.cli.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
