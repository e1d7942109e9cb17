from models.scoring import Candidate, FieldVerdict, Outcome, Reason, Verdict
from service.routing.holdout import left_to_people


def test_held_out_verdict_names_no_candidates() -> None:
    field = FieldVerdict(Outcome.ROUTE, Reason.CONFIDENT, (Candidate("billing", 0.99),))
    verdict = left_to_people(Verdict(field, {"priority": field}))
    for each in (verdict.department, *verdict.fields.values()):
        assert (each.outcome, each.reason, each.candidates) == (Outcome.REVIEW, Reason.AUDIT, ())
