"""The random share of tickets that is left to people although the model could decide them.

Their labels are a sample of all mail, so they measure the model without bias; those of corrected tickets do not. People
are not told what the model said, for it would bias them; the record has it.
"""

from models.scoring import FieldVerdict, Outcome, Reason, Verdict


def left_to_people(verdict: Verdict) -> Verdict:
    """Every field for review, without candidates."""
    answer = FieldVerdict(Outcome.REVIEW, Reason.AUDIT, ())
    return Verdict(answer, dict.fromkeys(verdict.fields, answer))
