"""The sample tickets: repeatable, varied, as mixed as real mail, and readable by the standard tools."""

import csv
import datetime as dt
import email
import email.policy
import importlib
import json
import os
import pathlib
import random
import re
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import TicketRouterError
from training import sample
from training.sample.company import DEPARTMENTS, LANGUAGES, PRIORITIES
from training.sample.dates import LAST_MOMENT
from training.sample.eml import KINDS
from training.sample.tickets import SampleTicket
from training.sample.writer import COLUMNS

ROOT = pathlib.Path(__file__).parents[4]
DIGEST_OF_A_RUN = (
    "import hashlib; from training import sample; text = repr((sample.make_tickets(120, 5), sample.make_mails(20, 5)));"
    "print(hashlib.sha256(text.encode()).hexdigest())"
)


@pytest.fixture(scope="module")
def tickets() -> list[SampleTicket]:
    return sample.make_tickets(sample.DEFAULT_ROWS, 7)


def test_same_rows_and_seed_give_the_same_tickets_in_every_process() -> None:
    """Two processes with different hash seeds produce identical tickets and identical mail bytes."""
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST_OF_A_RUN],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(digests) == 1


def test_the_global_random_generator_is_left_alone() -> None:
    """Making tickets and mails neither reads nor disturbs the program's own random numbers."""
    before = random.getstate()
    sample.make_tickets(30, 1)
    sample.make_mails(10, 1)
    assert random.getstate() == before


def test_another_seed_gives_other_tickets(tickets: list[SampleTicket]) -> None:
    """The seed matters: hardly a body is shared between two seeds."""
    bodies = {ticket.body for ticket in tickets}
    again = sample.make_tickets(sample.DEFAULT_ROWS, 8)
    assert sum(ticket.body in bodies for ticket in again) < 0.02 * len(again)


@given(rows=st.integers(0, 40), seed=st.integers())
@settings(max_examples=40, deadline=None)
def test_any_number_of_rows_is_given_with_distinct_ids_in_order(rows: int, seed: int) -> None:
    """Exactly the rows asked for come, also for none and for one, with distinct ids in order of arrival."""
    made = sample.make_tickets(rows, seed)
    assert len(made) == rows == len({ticket.id for ticket in made})
    assert made == sorted(made, key=lambda ticket: ticket.created_at)


def test_exactly_the_stated_share_of_labels_is_wrong(tickets: list[SampleTicket]) -> None:
    """The wrong labels are as many as the published rate says."""
    wrong = sum(ticket.department != ticket.true_department for ticket in tickets)
    assert wrong == round(sample.WRONG_LABEL_RATE * len(tickets))


def test_every_department_and_priority_has_rows_enough_to_learn(tickets: list[SampleTicket]) -> None:
    """Each of the departments keeps at least 60 rows by default, and each priority appears."""
    by_department = Counter(ticket.department for ticket in tickets)
    assert by_department.keys() == DEPARTMENTS.keys()
    assert min(by_department.values()) >= 60
    assert {ticket.priority for ticket in tickets} == set(PRIORITIES)


def test_priority_shows_in_the_words(tickets: list[SampleTicket]) -> None:
    """Urgent English tickets call for haste far more often than low ones."""
    haste = re.compile(r"urgent|critical|immediately|right now|today|stuck|losing money|deadline|call me|hurry", re.I)

    def share(priority: str) -> float:
        texts = [f"{one.subject} {one.body}" for one in tickets if one.priority == priority and one.language == "en"]
        return sum(bool(haste.search(text)) for text in texts) / len(texts)

    assert share("urgent") > 0.5 > 0.3 > share("low")


def test_exact_duplicates_are_rare(tickets: list[SampleTicket]) -> None:
    """Fewer than one row in a hundred repeats another's subject and body."""
    distinct = {(ticket.subject, ticket.body) for ticket in tickets}
    assert len(tickets) - len(distinct) < 0.01 * len(tickets)


def test_all_languages_are_written(tickets: list[SampleTicket]) -> None:
    """Each language has its share, within a third, and its own greetings."""
    counts = Counter(ticket.language for ticket in tickets)
    for language, share in LANGUAGES.items():
        assert counts[language] == pytest.approx(share * len(tickets), rel=1 / 3)
    for language, word in {"de": "Grüße", "fr": "Bonjour", "es": "Hola"}.items():
        assert any(word in ticket.body for ticket in tickets if ticket.language == language)


@pytest.mark.parametrize(
    ("what", "pattern", "least"),
    [
        ("quoted reply", r"(?m)^> |gmail_quote|<b>From:</b>", 0.05),
        ("forward", r"(?i)-- forwarded message --|begin forwarded message", 0.01),
        ("Outlook's original message", r"-----Original Message-----", 0.005),
        ("signature mark", r"(?m)^-- $", 0.01),
        ("mobile signature", r"Sent from my", 0.02),
        ("disclaimer", r"confidential|privileged", 0.005),
        ("contact form", r"^Name: .*\n", 0.02),
    ],
)
def test_what_real_mail_carries_is_there(tickets: list[SampleTicket], what: str, pattern: str, least: float) -> None:
    """Quotes, forwards, signatures, disclaimers and forms appear in a fair share of the bodies."""
    found = sum(bool(re.search(pattern, ticket.body)) for ticket in tickets)
    assert found >= least * len(tickets), what


def test_html_bodies_are_declared_and_escaped(tickets: list[SampleTicket]) -> None:
    """A body is HTML exactly where its content type says so, and an address in it is no tag."""
    assert 0.1 < sum(ticket.content_type == "text/html" for ticket in tickets) / len(tickets) < 0.4
    for ticket in tickets:
        assert ticket.body.startswith("<") == (ticket.content_type == "text/html")
        assert ticket.content_type == "text/plain" or not re.search(r"<[\w.-]+@", ticket.body)


def test_automatic_replies_are_flagged(tickets: list[SampleTicket]) -> None:
    """Some tickets are automatic replies, say so in the flag, and are never urgent."""
    automatic = [ticket for ticket in tickets if ticket.auto_reply]
    assert 0.01 < len(automatic) / len(tickets) < 0.06
    assert {ticket.priority for ticket in automatic} == {"low"}


def test_some_tickets_lack_a_subject_or_a_body_but_never_both(tickets: list[SampleTicket]) -> None:
    """Blank subjects and blank bodies occur as in life, yet no ticket is wholly blank."""
    assert any(not ticket.subject for ticket in tickets)
    assert any(not ticket.body for ticket in tickets)
    assert all(ticket.subject or ticket.body for ticket in tickets)


def test_dates_span_a_year_of_office_hours_and_close_after_they_open(tickets: list[SampleTicket]) -> None:
    """Tickets fill the year up to the fixed last day, mostly by day, and none closes before it came."""
    first, last = tickets[0].created_at, tickets[-1].created_at
    assert dt.timedelta(days=355) < last - first < dt.timedelta(days=366)
    assert LAST_MOMENT - last < dt.timedelta(days=3)
    assert last.utcoffset() == dt.timedelta(0)
    by_day = [ticket for ticket in tickets if 7 <= ticket.created_at.hour <= 18 and ticket.created_at.weekday() < 5]
    assert len(by_day) > 0.75 * len(tickets)
    assert all(ticket.closed_at is None or ticket.created_at < ticket.closed_at <= LAST_MOMENT for ticket in tickets)
    assert sum(ticket.closed_at is not None for ticket in tickets) > 0.95 * len(tickets)


def test_senders_live_on_reserved_domains_only(tickets: list[SampleTicket]) -> None:
    """No address reaches a real person: all are under example.com, .org or .net, or the made-up company's."""
    reserved = re.compile(r"[a-z0-9._-]+@([a-z0-9-]+\.)?(example\.(com|org|net)|plankwise\.example)")
    for ticket in tickets:
        assert reserved.fullmatch(ticket.requester)
        found = re.findall(r"[\w.+-]+@[\w.-]+\w", ticket.body, re.ASCII)
        assert all(reserved.fullmatch(address.lower()) for address in found)


def test_no_template_mark_is_left_in_the_text(tickets: list[SampleTicket]) -> None:
    """Every slot and every alternative was expanded."""
    assert not any(re.search(r"[\[\]{}]", ticket.subject) for ticket in tickets)
    assert not any(re.search(r"[\[\]{}]", ticket.body) for ticket in tickets if ticket.content_type == "text/plain")


def test_no_cell_is_a_spreadsheet_formula(tickets: list[SampleTicket]) -> None:
    """No cell begins with a character that a spreadsheet would run."""
    cells = [cell for ticket in tickets for cell in (ticket.subject, ticket.body, ticket.requester)]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)


def test_csv_reads_back_as_written(tickets: list[SampleTicket], tmp_path: pathlib.Path) -> None:
    """The standard CSV reader returns every row whole, line breaks in bodies included."""
    path = tmp_path / "tickets.csv"
    sample.write_tickets(tickets, path)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [(row["id"], row["subject"], row["body"]) for row in rows] == [(t.id, t.subject, t.body) for t in tickets]
    assert [dt.datetime.fromisoformat(row["created_at"]) for row in rows] == [t.created_at for t in tickets]
    assert any("\n" in row["body"] for row in rows)


def test_jsonl_and_parquet_hold_the_same_rows(tickets: list[SampleTicket], tmp_path: pathlib.Path) -> None:
    """The three formats agree; Parquet has real timestamps."""
    some = tickets[-50:]
    sample.write_tickets(some, tmp_path / "t.jsonl")
    sample.write_tickets(some, tmp_path / "t.PARQUET")
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text(encoding="utf-8").split("\n")[:-1]]
    table = importlib.import_module("pyarrow.parquet").read_table(tmp_path / "t.PARQUET").to_pylist()
    assert [row["body"] for row in lines] == [row["body"] for row in table] == [ticket.body for ticket in some]
    assert [row["closed_at"] for row in table] == [ticket.closed_at for ticket in some]
    assert [row["auto_reply"] for row in lines] == [ticket.auto_reply for ticket in some]
    assert "true_department" not in lines[0]


def test_the_same_file_is_written_byte_for_byte(tmp_path: pathlib.Path) -> None:
    """Rows and seed alone decide the file's bytes."""
    for name in ("a.csv", "b.csv"):
        sample.write_tickets(sample.make_tickets(60, 2), tmp_path / name)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


@pytest.mark.parametrize("name", ["tickets.xlsx", "tickets", "missing/tickets.csv", "missing/tickets.parquet"])
def test_what_cannot_be_written_is_one_clear_line(name: str, tmp_path: pathlib.Path) -> None:
    """An unknown format or a missing folder is the product's own error, in one line, and leaves nothing behind."""
    with pytest.raises(TicketRouterError) as caught:
        sample.write_tickets(sample.make_tickets(3, 1), tmp_path / name)
    assert "cannot write" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_keeps_the_old_file(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk fills up, the file that was there stays as it was and no temporary file remains."""
    path = tmp_path / "tickets.csv"
    path.write_text("old")
    monkeypatch.setattr(pathlib.Path, "replace", _disk_full)
    with pytest.raises(TicketRouterError, match="No space left"):
        sample.write_tickets(sample.make_tickets(3, 1), path)
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["tickets.csv"]


def _disk_full(source: pathlib.Path, target: pathlib.Path) -> None:
    raise OSError(28, "No space left on device", str(source), None, str(target))


def test_mails_are_real_mails_of_every_kind() -> None:
    """The standard parser finds no defect, a subject, a sender and a readable body in each mail."""
    mails = sample.make_mails(2 * len(KINDS), 7)
    assert {mail.name.partition("-")[2] for mail in mails} == {kind.name for kind in KINDS}
    for mail in mails:
        parsed = email.message_from_bytes(mail.raw, policy=email.policy.default)
        assert not parsed.defects
        assert parsed["From"].addresses[0].domain.endswith(("example.com", "example.org", "example.net"))
        assert parsed["Subject"]
        assert parsed["Message-ID"]
        body = parsed.get_body(("html", "plain"))
        assert body is not None
        assert len(body.get_content()) > 20


def test_only_automatic_replies_say_so_and_belong_nowhere() -> None:
    """The auto-reply carries `Auto-Submitted` and no department; every other mail the reverse."""
    for mail in sample.make_mails(len(KINDS), 3):
        parsed = email.message_from_bytes(mail.raw, policy=email.policy.default)
        automatic = mail.name.endswith("auto_reply")
        assert (parsed["Auto-Submitted"] == "auto-replied") == automatic == (mail.department is None)
        assert mail.department in DEPARTMENTS or automatic


def test_html_mails_carry_text_and_html() -> None:
    """An HTML mail is multipart/alternative and its quoted thread is in both parts."""
    mail = sample.make_mails(2, 7)[1]
    parsed = email.message_from_bytes(mail.raw, policy=email.policy.default)
    assert parsed.get_content_type() == "multipart/alternative"
    plain, rich = (part.get_content() for part in parsed.iter_parts())
    assert "wrote:" in plain
    assert "gmail_quote" in rich


def test_no_mail_equals_a_training_row(tickets: list[SampleTicket]) -> None:
    """The names below sample mails occur in no ticket, so no mail repeats a row, for any seeds."""
    texts = "\n".join(ticket.body for ticket in tickets)
    for mail in sample.make_mails(40, 7):
        parsed = email.message_from_bytes(mail.raw, policy=email.policy.default)
        assert parsed["From"].addresses[0].addr_spec not in {ticket.requester for ticket in tickets}
        assert parsed["From"].addresses[0].display_name not in texts
        body = parsed.get_body(("plain",))
        assert body is not None
        assert parsed["From"].addresses[0].display_name in body.get_content()
