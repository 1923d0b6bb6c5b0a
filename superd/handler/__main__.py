"""``python -m superd.handler``."""

import sys

from superd.handler.foreground import main

if __name__ == "__main__":
    sys.exit(main())
