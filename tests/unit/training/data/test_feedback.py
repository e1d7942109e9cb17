"""Decisions on record → labels: what counts as the truth, what as a guess, and what is left out."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from models.errors import TicketRouterError
from models.label_source import LabelSource
from tests.support.decisions import START, day, decision, feedback
from tests.support.rows import CANARY, write_jsonl
from training.data.feedback.decisions import Decided, LeftOut, read_decisions
from training.data.feedback.label import Labelled, label_ticket

NOW = START + timedelta(days=61)
PRIORITY = {"priority": {"value": "high", "confidence": 0.9, "outcome": "route", "threshold": 0.8}}


def read(folder: Path, *lines: Mapping[str, Any]) -> Decided:
    return read_decisions([write_jsonl(folder / "records.jsonl", lines)], now=NOW)


def labelled(
    decided: Decided, closed: Mapping[str, str | None] | None = None, aliases: Mapping[str, str] | None = None
) -> Labelled | LeftOut:
    """Of the first ticket."""
    return label_ticket(
        decided.tickets[0], decided.fields, closed or {}, decided.newest, timedelta(days=14),
        {"department": aliases or {}},
    )  # fmt: skip


def label_of(found: Labelled | LeftOut) -> tuple[str | None, str]:
    assert isinstance(found, Labelled)
    return found.labels["department"], found.source


def test_the_newest_feedback_is_the_label(tmp_path: Path) -> None:
    decided = read(tmp_path, decision(1, "sales", "route", feedback("refunds", 3), feedback("billing", 1)))
    assert label_of(labelled(decided)) == ("refunds", "agent")


def test_a_value_at_close_counts_more_than_newer_feedback(tmp_path: Path) -> None:
    said = feedback("sales", 1, source="close"), feedback("refunds", 2, source="close"), feedback("billing", 3)
    decided = read(tmp_path, decision(1, "sales", "route", *said))
    assert label_of(labelled(decided)) == ("refunds", "close")


def test_feedback_on_a_ticket_kept_for_people_is_audited(tmp_path: Path) -> None:
    """What the model said of it is in its fields, but was not done."""
    decided = read(tmp_path, decision(1, "sales", "route", feedback("billing", source="close"), holdout=True))
    assert label_of(labelled(decided)) == ("billing", "audit")
    closed = read(tmp_path, decision(1, "billing", "route", holdout=True))
    assert label_of(labelled(closed, {"department": "billing"})) == ("billing", "audit")


def test_a_route_without_feedback_counts_as_right_once_it_is_quiet(tmp_path: Path) -> None:
    """Measured against the record's newest time, not the clock."""
    young = read(tmp_path, decision(1), decision(2, at=13))
    assert labelled(young) is LeftOut.WAITING
    old = read(tmp_path, decision(1), decision(2, at=14))
    assert label_of(labelled(old)) == ("billing", LabelSource.ROUTER_UNCHECKED)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (decision(1, "sales", "suggest"), LeftOut.UNLABELLED),
        (decision(1, "sales", "route", holdout=True), LeftOut.NOT_REVIEWED),
    ],
)
def test_without_feedback_and_route_there_is_no_label(tmp_path: Path, line: Mapping[str, Any], reason: LeftOut) -> None:
    assert labelled(read(tmp_path, line, decision(2, at=60))) is reason


def test_the_value_at_close_of_the_helpdesk_is_a_persons_unless_the_router_set_it(tmp_path: Path) -> None:
    decided = read(tmp_path, decision(1, "billing"))
    assert label_of(labelled(decided, {"department": "refunds"})) == ("refunds", "close")
    assert label_of(labelled(decided, {"department": "billing"})) == ("billing", "router_unchecked")
    assert label_of(labelled(decided, {"department": "money"}, {"billing": "money"})) == ("money", "router_unchecked")


def test_a_field_that_nobody_checked_is_empty_in_a_row_of_full_weight(tmp_path: Path) -> None:
    """The router's own priority is learned at half weight only, with the router's own department."""
    checked = labelled(read(tmp_path, decision(1, "sales", "route", feedback("billing"), fields=PRIORITY)))
    unchecked = labelled(read(tmp_path, decision(1, fields=PRIORITY), decision(2, at=30)))
    said = labelled(
        read(
            tmp_path,
            decision(1, "sales", "route", feedback("billing"), feedback("low", field="priority"), fields=PRIORITY),
        )
    )
    found = [each.labels["priority"] for each in (checked, unchecked, said) if isinstance(each, Labelled)]
    assert found == [None, "high", "low"]


def test_a_ticket_with_several_decisions_is_one_row_with_the_first_text_and_the_last_route(tmp_path: Path) -> None:
    first = decision(1, "billing", text=("first", "one"))
    second = decision(9, "sales", at=2, text=("second", "two"), ticket_id="T-1")
    decided = read(tmp_path, second, first, decision(3, at=30))
    ticket = decided.tickets[0]
    assert ticket.text is not None
    assert (ticket.id, ticket.text.subject, ticket.routed("department")) == (
        "T-1",
        "first",
        ("sales", datetime.fromisoformat(day(2))),
    )
    assert decided.left_out[LeftOut.LATER] == 1


def test_a_decision_that_stands_twice_is_one_with_the_feedback_of_both(tmp_path: Path) -> None:
    decided = read(tmp_path, decision(1, "sales", "route", feedback("billing", 1)), decision(1, "sales"))
    assert len(decided.tickets) == 1
    assert decided.left_out[LeftOut.REPEATED] == 1
    assert label_of(labelled(decided)) == ("billing", "agent")


def test_feedback_in_the_future_or_on_an_unknown_field_is_counted_and_left_out(tmp_path: Path) -> None:
    said = feedback("billing", 1), feedback("refunds", 90), feedback("blue", 1, field="colour")
    decided = read(tmp_path, decision(1, "sales", "route", *said), decision(2, at=90))
    assert label_of(labelled(decided)) == ("billing", "agent")
    counted = {reason: count for reason, count in decided.left_out.items() if count}
    assert counted == {LeftOut.FUTURE_FEEDBACK: 1, LeftOut.UNKNOWN_FIELD: 1, LeftOut.FUTURE: 1}


def test_keys_of_a_later_release_are_ignored(tmp_path: Path) -> None:
    assert len(read(tmp_path, decision(1, something_new={"a": [1]})).tickets) == 1


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("{", "no JSON object"),
        ("[1, 2]", "no JSON object"),
        ('{"decision_id": "\\ud800"}', "no JSON object"),
        ({**decision(1), "created_at": 1_790_000_000}, "created_at is not valid"),
        ({**decision(1), "created_at": "2026-09-01T08:00:00"}, "created_at is not valid"),
        ({**decision(1), "fields": {CANARY: {"value": "x", "outcome": "route"}}}, "fields is not valid"),
        ({**decision(1), "fields": {"department": {"value": "x", "outcome": CANARY}}}, "fields is not valid"),
        (decision(1, "sales", "route", feedback("billing", source=CANARY)), "feedback is not valid"),
        ({key: value for key, value in decision(1).items() if key != "holdout"}, "holdout is missing"),
    ],
)  # fmt: skip
def test_a_broken_line_is_refused_with_its_number_or_skipped(
    tmp_path: Path, line: str | Mapping[str, Any], what: str
) -> None:
    path = write_jsonl(tmp_path / "records.jsonl", [decision(1), decision(2)])
    if isinstance(line, str):
        path.write_text(path.read_text() + line + "\n")
    else:
        write_jsonl(path, [decision(1), decision(2), line])
    with pytest.raises(TicketRouterError) as caught:
        read_decisions([path], now=NOW)
    assert f"line 3: {what}" in str(caught.value)
    assert CANARY not in str(caught.value)
    assert read_decisions([path], skip_faulty=True, now=NOW).left_out[LeftOut.FAULTY] == 1


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_a_file_without_decisions_says_how_to_write_one(tmp_path: Path, content: str) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text(content)
    with pytest.raises(TicketRouterError, match="records export"):
        read_decisions([path])
