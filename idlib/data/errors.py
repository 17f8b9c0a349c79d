"""The exceptions of the data loaders."""


class DataError(ValueError):
    """Data that cannot be used: missing, unreadable, corrupt, or not what it should be.

    The message names the file or folder and says what to do. Loaders raise it before any training
    and leave the data as they found it.
    """


class TooFewItems(DataError):
    """A split has fewer items than the setting ``examples`` asks of it.

    Attributes:
        split: its name in ``examples``.
        available: how many items it has.
    """

    def __init__(self, message: str, split: str, available: int):
        super().__init__(message)
        self.split, self.available = split, available
