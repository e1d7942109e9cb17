from models.scoring import Candidate, FieldVerdict, Outcome, Reason, Verdict
from service.routing.holdout import is_held_out, left_to_people


def test_share_of_tickets_is_held_out_and_a_larger_share_contains_it() -> None:
    ids = [f"T-{number}" for number in range(20_000)]
    small, large = ({each for each in ids if is_held_out(share, each, b"")} for share in (0.02, 0.1))
    assert 300 < len(small) < 500
    assert small < large
    assert not any(is_held_out(0.0, each, b"") for each in ids)
    assert all(is_held_out(1.0, each, b"") for each in ids)


def test_ticket_without_id_is_held_out_by_its_text() -> None:
    texts = [number.to_bytes(8) for number in range(1000)]
    held = [is_held_out(0.5, None, each) for each in texts]
    assert held == [is_held_out(0.5, None, each) for each in texts]
    assert 400 < sum(held) < 600
    assert len({is_held_out(0.5, "T-1", each) for each in texts}) == 1


def test_held_out_verdict_names_no_candidates() -> None:
    field = FieldVerdict(Outcome.ROUTE, Reason.CONFIDENT, (Candidate("billing", 0.99),))
    verdict = left_to_people(Verdict(field, {"priority": field}))
    for each in (verdict.department, *verdict.fields.values()):
        assert (each.outcome, each.reason, each.candidates) == (Outcome.REVIEW, Reason.AUDIT, ())
