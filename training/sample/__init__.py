"""Made-up tickets, so that anyone can run the product at once. What a model scores on them says nothing of real mail.

Tickets of Plankwise, a company that does not exist, written by our own grammar: departments that share their words,
typos, signatures, quoted threads, HTML, forwards, automatic replies, four languages and a known share of wrong labels.
"""

from training.sample.eml import SampleMail, make_mails
from training.sample.tickets import WRONG_LABEL_RATE, SampleTicket, make_tickets
from training.sample.writer import write_tickets

DEFAULT_ROWS = 2000
"""Enough that the rarest department has about a hundred rows and every split some of each; few enough to train a small
model on two cores in minutes."""

__all__ = [
    "DEFAULT_ROWS",
    "WRONG_LABEL_RATE",
    "SampleMail",
    "SampleTicket",
    "make_mails",
    "make_tickets",
    "write_tickets",
]
