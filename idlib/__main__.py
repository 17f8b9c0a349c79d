"""``python -m idlib``: the command line."""

from idlib.cli import main

main()
