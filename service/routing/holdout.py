"""The random share of tickets that is left to people although the model could decide them.

Their labels are a sample of all mail, so they measure the model without bias; those of corrected tickets do not. People
are not told what the model said, for it would bias them; the record has it.
"""

import hashlib

from models.scoring import FieldVerdict, Outcome, Reason, Verdict


def is_held_out(share: float, ticket_id: str | None, text_digest: bytes) -> bool:
    """Stable by the ticket's id, without one by its text, in all processes and for all bundles."""
    if not share:
        return False
    name = text_digest if ticket_id is None else ticket_id.encode(errors="surrogatepass")
    number = int.from_bytes(hashlib.blake2b(name, digest_size=8, person=b"holdout").digest())
    return number < share * 2**64


def left_to_people(verdict: Verdict) -> Verdict:
    """Every field for review, without candidates."""
    answer = FieldVerdict(Outcome.REVIEW, Reason.AUDIT, ())
    return Verdict(answer, dict.fromkeys(verdict.fields, answer))
