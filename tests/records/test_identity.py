"""Which requests are repetitions, and the times in their keys."""

from dataclasses import replace

import pytest
from ulid import ULID

from models.ticket import Ticket
from service.errors import InvalidHeader
from service.records.database.schema import first_id, milliseconds_of
from service.records.identity import idempotency_key, identity_of

TICKET = Ticket(id="T-1", subject="a", body="b", sender="kim@example.com", recipients=("support@example.com",))


@pytest.mark.parametrize("milliseconds", [0, 1, 31, 32, 1_800_000_000_123, 2**48 - 1])
def test_the_time_of_an_id_is_that_of_its_ulid(milliseconds: int) -> None:
    assert milliseconds_of(str(ULID.from_bytes(milliseconds.to_bytes(6) + b"\xff" * 10))) == milliseconds
    assert milliseconds_of(first_id(milliseconds)) == milliseconds


@pytest.mark.parametrize(
    "changed",
    [
        {"id": "T-2"},
        {"subject": "ab", "body": ""},
        {"body": "c"},
        {"sender": ""},
        {"recipients": ()},
        {"content_type": "text/html"},
    ],
)
def test_another_content_is_no_repetition(changed: dict[str, str]) -> None:
    other = replace(TICKET, **changed)
    assert identity_of(other, "a", None, 0).key != identity_of(TICKET, "a", None, 0).key
    assert identity_of(other, "a", "key", 0).digest != identity_of(TICKET, "a", "key", 0).digest


@pytest.mark.parametrize("values", [[b""], [b"a b"], [b"a" * 256], [b"\xc3\xa9"], [b"a", b"a"]])
def test_malformed_key_is_refused(values: list[bytes]) -> None:
    with pytest.raises(InvalidHeader):
        idempotency_key([(b"idempotency-key", value) for value in values])
