"""`Budget`: reading stops when the CPU time is used up; training reads without a budget."""

import pytest

from models.cpu_budget import UNLIMITED, Budget
from models.errors import TooComplex
from models.mail.parse import parse_email
from models.text.prepare import prepare
from models.ticket import ContentType, Ticket
from tests.unit.models.mail.hostile_mails import MAILS, MIXED
from tests.unit.models.text.hostile_texts import HTML, TEXTS


class Clock:
    """Advances by a second at every reading."""

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self) -> float:
        self.looks += 1
        return float(self.looks)


def test_a_budget_is_used_up_when_its_time_is() -> None:
    """Not before, and then at every check."""
    now = [0.0]
    budget = Budget(2.0, lambda: now[0])
    now[0] = 1.9
    budget.check_now()
    now[0] = 2.0
    for _ in range(2):
        with pytest.raises(TooComplex):
            budget.check_now()


def test_only_every_sixteenth_check_in_a_loop_reads_the_clock() -> None:
    """Reading the clock costs as much as the work between two checks."""
    clock = Clock()
    budget = Budget(1e9, clock)
    for _ in range(160):
        budget.check()
    assert clock.looks == 1 + 10


@pytest.mark.parametrize("name", ["10k parts", "texts", "few words above HTML", "1000 messages in messages"])
def test_parsing_stops_when_the_budget_is_used_up(name: str) -> None:
    """Parts, texts and HTML are read between checks: a budget of three looks is used up half-way."""
    with pytest.raises(TooComplex):
        parse_email(MAILS[name](100_000), Budget(3.5, Clock()))


def test_each_part_and_each_text_of_a_mail_is_a_check() -> None:
    """They are few and can be large, so the clock is looked at every time."""
    clock = Clock()
    parse_email(MIXED + b"--b\n\nwords\n" * 8, Budget(1e9, clock))
    assert clock.looks >= 1 + 9 + 8


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (HTML["divs"](10_000), "text/html"),
        (TEXTS["labels"](10_000), "text/plain"),
        (TEXTS["lone quotes"](10_000), "text/plain"),
    ],
)
def test_cleaning_stops_when_the_budget_is_used_up(body: str, content_type: ContentType) -> None:
    """Tags, lines, quotes and the segments between them are checked."""
    ticket = Ticket(subject="Re: x", body=body, content_type=content_type)
    clock = Clock()
    whole = prepare(ticket, Budget(1e9, clock))
    assert whole == prepare(ticket)
    assert clock.looks > 10
    for looks in range(2, clock.looks, 5):
        with pytest.raises(TooComplex):
            prepare(ticket, Budget(looks - 0.5, Clock()))


def test_an_unlimited_budget_never_ends() -> None:
    """Training rows do not depend on the machine's speed."""
    for _ in range(100):
        UNLIMITED.check()
        UNLIMITED.check_now()


def test_the_error_says_what_to_do_without_content() -> None:
    """The message is one line."""
    with pytest.raises(TooComplex) as caught:
        parse_email(b"Subject: secret\n\nsecret", Budget(0.0))
    assert "a person" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert str(caught.value).isprintable()
