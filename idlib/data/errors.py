"""The one exception of the data loaders."""


class DataError(ValueError):
    """Data that cannot be used: missing, unreadable, corrupt, or not what it should be.

    The message names the file or folder and says what to do. Loaders raise it before any training
    and leave the data as they found it.
    """
