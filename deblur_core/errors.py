"""The two errors that reach a user. Each carries one clear sentence: what is wrong, and what to do."""


class DeblurError(Exception):
    """Something failed that the user can act on. The `deblur` command prints the sentence and exits with 1."""


class UsageError(DeblurError):
    """The request itself is wrong (unknown name, impossible size). The `deblur` command exits with 2."""
