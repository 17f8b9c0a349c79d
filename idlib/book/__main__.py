"""``python -m idlib.book`` runs the notebooks for the book."""

import sys

from idlib.book.execution import main

sys.exit(main())
