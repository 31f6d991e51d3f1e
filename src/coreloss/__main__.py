"""python -m coreloss: the same as the command coreloss."""

import sys

from coreloss.cli import main

sys.exit(main())
