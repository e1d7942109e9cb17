"""Errors the contract raises. They know meaning, not HTTP; each message is one line that says what to do."""


class TicketRouterError(Exception):
    """Anything a person can mend: the message says what is wrong, where, and what to do.

    The message never repeats a ticket's content.
    """


class BundleError(TicketRouterError):
    """A bundle folder is missing, damaged, foreign, or made for another version of this code."""


class MailError(TicketRouterError):
    """Raw bytes that cannot be read as an e-mail within the limits."""


class TooComplex(TicketRouterError):
    """Reading a ticket took more than its `Budget`. No fault of anybody's to mend: a person reads it instead."""

    def __init__(self) -> None:
        super().__init__("reading the ticket takes longer than it may; a person should read it")
