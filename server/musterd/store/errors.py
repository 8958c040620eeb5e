"""What can be wrong with a database before it serves anything, and with its rows."""


class StoreOpenError(Exception):
    """The store cannot be opened. The text says why, and what to do about it."""


class UnreadableRowError(Exception):
    """A row has a format that this version does not read, or refers to something that is gone."""
