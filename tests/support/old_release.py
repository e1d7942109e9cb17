"""`python -m tests.support.old_release`: the service as the release before the last change of the text version.

The code is current; its text version, and so the bundles that it opens, are the previous ones.
"""

import sys

from models.text import prepare

prepare.TEXT_VERSION -= 1  # before `models.bundle` imports the value

from service.cli.main import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
