"""The error of reads."""


class ReadError(RuntimeError):
    """What was asked cannot be answered; the message says what was expected and what to do next."""
