"""Errors of the shared package. They carry no HTTP status; each message is one line that says what to do."""


class TicketRouterError(Exception):
    """An error that a person can correct: the message says what is wrong, where, and what to do.

    The message never contains a ticket's content.
    """


class BundleError(TicketRouterError):
    """A bundle folder is missing, damaged, foreign, or made for another version of this code."""


class MailError(TicketRouterError):
    """Raw bytes that cannot be read as an e-mail within the limits."""


class TooComplex(TicketRouterError):
    """Reading a ticket took more than its `Budget`. There is nothing to correct: the ticket goes to review."""

    def __init__(self) -> None:
        super().__init__("reading the ticket takes longer than it may; a person should read it")
