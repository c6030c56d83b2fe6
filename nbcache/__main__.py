"""`python -m nbcache`: the command line."""

import sys

from nbcache.ui.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
