"""``python -m superd`` is ``superd``."""

import sys

from superd.cli.superd import main

sys.exit(main())
