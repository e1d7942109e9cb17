"""What may be done to a ticket, for all combinations of what people, programs and we have written."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.fields import DEPARTMENT
from models.scoring import Candidate, FieldVerdict, Outcome, Reason, Verdict
from service.helpdesks.connections import Connection, ConnectionTable, Mode
from service.helpdesks.manners import HandsOff, Rules, chosen, on_arrival, plan
from service.helpdesks.types import Change, Current, Event, Ignored

NOW = 1_800_000_000_000
DAY = 86_400_000
TEAMS = (None, "inbox", "T-billing", "T-sales", "T-person")


def rules(mode: str = "route", modes: dict[str, str] | None = None, *, tags: bool = True, **table: Any) -> Rules:
    content = {
        "kind": "generic",
        "url": "https://desk.example",
        "secret": {"env": "X"},
        "mode": mode,
        "fields": {
            DEPARTMENT: {
                "attribute": "team",
                "targets": {"billing": "T-billing", "sales": "T-sales"},
                "modes": modes or {},
                "replace": ["inbox"],
            }
        },
    }
    connection = Connection("desk", ConnectionTable.model_validate(content | table), "s", "t", None)
    return Rules(connection, {}, ("new", "open"), tags)


def verdict(outcome: Outcome, label: str = "billing") -> Verdict:
    return Verdict(FieldVerdict(outcome, Reason.CONFIDENT, (Candidate(label, 0.97),)), {})


def planned(outcome: Outcome = Outcome.ROUTE, by: Rules | None = None, label: str = "billing", **more: Any) -> Any:
    state: dict[str, Any] = {
        "current": Current({"team": None}, "new", NOW),
        "ticket": "1",
        "mark": "01J",
        "initial": {"team": None},
        "written": {},
        "flips": {},
        "now_ms": NOW,
    }
    return plan(verdict(outcome, label), by or rules(), **(state | more))


def test_note_names_the_words_that_spoke_for_the_department() -> None:
    change, _ = planned(Outcome.SUGGEST, rules("suggest"), words=("charged twice", "refund"))
    assert "department: billing (97%) because of “charged twice”, “refund”. (decision" in change.note
    change, _ = planned(Outcome.SUGGEST, rules("suggest"))
    assert "department: billing (97%). (decision" in change.note


@given(
    now=st.sampled_from(TEAMS),
    initial=st.sampled_from(TEAMS),
    written=st.sampled_from(TEAMS[2:4]) | st.none(),
    outcome=st.sampled_from(Outcome),
    mode=st.sampled_from(("suggest", "route")),
)
def test_no_value_is_overwritten_that_we_did_not_write_and_that_was_not_there_before(
    now: str | None, initial: str | None, written: str | None, outcome: Outcome, mode: str
) -> None:
    found = planned(
        outcome,
        rules(mode),
        current=Current({"team": now}, "new", NOW),
        initial={"team": initial},
        written={} if written is None else {"team": written},
    )
    ours = written is not None and now == written
    untouched = written is None and now == initial and now in (None, "inbox")
    if isinstance(found, tuple):
        change, recorded = found
        if change.values:
            assert ours or untouched
            assert change.values == {"team": "T-billing"}
            assert [each.previous for each in recorded] == [now]
            assert (outcome, mode) == (Outcome.ROUTE, "route")
    if not (ours or untouched or now == "T-billing"):
        assert found is HandsOff.PERSON


@given(
    mode=st.sampled_from(Mode),
    narrow=st.sampled_from(Mode) | st.none(),
    outcome=st.sampled_from(Outcome),
    label=st.sampled_from(("billing", "sales", "unmapped")),
)
def test_target_is_written_in_the_mode_route_alone_and_nothing_in_off_and_shadow(
    mode: Mode, narrow: Mode | None, outcome: Outcome, label: str
) -> None:
    found = planned(outcome, rules(mode, {} if narrow is None else {"billing": narrow}), label)
    in_force = narrow if narrow and label == "billing" and outcome is not Outcome.REVIEW else mode
    if mode is Mode.OFF or in_force in (Mode.OFF, Mode.SHADOW):
        assert found is HandsOff.MODE
        return
    change, _ = found
    routed = in_force is Mode.ROUTE and outcome is Outcome.ROUTE and label != "unmapped"
    assert bool(change.values) is routed
    assert change.tags == (() if routed else ("ai_review",) if outcome is Outcome.REVIEW else ("ai_suggestion",))
    assert (change.note is None) is (routed or outcome is Outcome.REVIEW)


@pytest.mark.parametrize(
    ("current", "why"),
    [
        (Current({"team": None}, "closed", NOW), HandsOff.STATE),
        (Current({"team": None}, "new", NOW - 8 * DAY), HandsOff.TOO_OLD),
        (Current({}, "new", NOW), HandsOff.PERSON),
        (Current({"team": "T-billing"}, "new", NOW), HandsOff.ALREADY),
    ],
)
def test_ticket_is_left_alone_with_its_reason(current: Current, why: HandsOff) -> None:
    assert planned(current=current) is why


def test_field_that_we_wrote_twice_within_the_hour_is_left_to_people() -> None:
    state: dict[str, Any] = {"current": Current({"team": "T-sales"}, "new", NOW), "written": {"team": "T-sales"}}
    assert isinstance(planned(**state, flips={"team": 1}), tuple)
    assert planned(**state, flips={"team": 2}) is HandsOff.FLIPS


def test_suggestion_that_was_made_already_is_not_repeated() -> None:
    with_tag = Current({"team": None}, "new", NOW, marks=frozenset({"ai_suggestion"}))
    assert planned(Outcome.SUGGEST, current=with_tag) is HandsOff.ALREADY
    by_note = Current({"team": None}, "new", NOW, marks=frozenset({"01J"}))
    assert planned(Outcome.SUGGEST, rules(tags=False), current=by_note) is HandsOff.ALREADY


def test_helpdesk_without_tags_is_told_of_an_abstention_by_a_note() -> None:
    change: Change = planned(Outcome.REVIEW, rules(tags=False))[0]
    assert change.tags == ()
    assert change.note is not None
    assert "01J" in change.note


def test_assigned_ticket_is_ignored_on_arrival_unless_nothing_would_be_written() -> None:
    event = Event("1", values={"team": "T-person"}, state="new", created_ms=NOW)
    assert on_arrival(event, rules(), NOW) is Ignored.ASSIGNED
    assert on_arrival(event, rules("shadow"), NOW) is None
    assert on_arrival(replace(event, values={"team": "inbox"}), rules(), NOW) is None
    assert on_arrival(event, rules("off"), NOW) is Ignored.OFF


@pytest.mark.parametrize(
    ("team", "state", "expected"),
    [
        ("T-sales", {}, {DEPARTMENT: "sales"}),
        ("T-person", {}, {DEPARTMENT: None}),
        ("inbox", {}, {}),
        (None, {}, {}),
        ("T-sales", {"written": {"team": "T-sales"}}, {}),
        ("T-sales", {"written": {"team": "T-billing"}}, {DEPARTMENT: "sales"}),
        ("T-sales", {"decided": {DEPARTMENT: "sales"}}, {}),
        ("T-sales", {"initial": {"team": "T-sales"}}, {}),
        ("T-sales", {"written": {"team": "T-sales"}, "is_closed": True}, {DEPARTMENT: "sales"}),
        ("inbox", {"is_closed": True}, {}),
    ],
)
def test_what_people_chose_is_what_neither_we_wrote_nor_the_ticket_came_with(
    team: str | None, state: dict[str, Any], expected: dict[str, str | None]
) -> None:
    how: dict[str, Any] = {"initial": {}, "written": {}, "decided": {}, "is_closed": False}
    assert chosen({"team": team}, rules(), **(how | state)) == expected


def test_a_value_that_several_labels_have_stands_for_none() -> None:
    fields = {DEPARTMENT: {"attribute": "team", "targets": {"billing": "T-1", "sales": "T-1"}}}
    found = chosen({"team": "T-1"}, rules(fields=fields), initial={}, written={}, decided={}, is_closed=False)
    assert found == {DEPARTMENT: None}
