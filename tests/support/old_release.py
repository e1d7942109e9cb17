"""`python -m tests.support.old_release`: the service as the release before the last change of the text version.

The code is today's; what it takes for its text version, and so which bundles it opens, is the one before.
"""

import sys

from models.text import prepare

prepare.TEXT_VERSION -= 1  # before `models.bundle` takes it over

from service.cli.main import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
