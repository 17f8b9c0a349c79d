"""Data of the tasks: one module a task, each with the sources ``embedded``, ``hub`` and ``path``.

What ships with the package lies in ``embedded/``, with its licence and checksums beside it.
"""

from idlib.data.errors import DataError

__all__ = ["DataError"]
