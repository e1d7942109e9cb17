"""Made-up tickets for trying the product without own data. A model's figures on them say nothing about real mail.

Tickets of Plankwise, a company that does not exist, written by a grammar: departments with shared vocabulary, typos,
signatures, quoted threads, HTML, forwards, automatic replies, four languages and a known share of wrong labels.
"""

from training.sample.eml import SampleMail, make_mails
from training.sample.tickets import WRONG_LABEL_RATE, SampleTicket, make_tickets
from training.sample.writer import write_tickets

DEFAULT_ROWS = 2000
"""Enough rows that the rarest department has about a hundred and every part some of each; few enough to train a small
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
