import pytest

from models.redact import redact


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("write to ann.o'hara+x@mail.example.co.uk.", "write to [email]."),
        ("<kim@example.com>, Zoë: zoë@exämple.de", "<[email]>, Zoë: [email]"),
        ("IBAN DE89 3704 0044 0532 0130 00 please", "IBAN [iban] please"),
        ("GB82WEST12345698765432, THANKS", "[iban], THANKS"),
        ("DE89 3704 0044 0532 0130 00 EUR", "[iban] EUR"),
        ("DE88 3704 0044 0532 0130 00", "DE88 3704 0044 0532 0130 00"),
        ("card 4111 1111 1111 1111 was charged", "card [card] was charged"),
        ("card 5500-0000-0000-0004", "card [card]"),
        ("order 4111 1111 1111 1112", "order 4111 1111 1111 1112"),
        ("call +49 30 901820 or +1 (650) 253-0000", "call [phone] or [phone]"),
        ("call 030 901820", "call [phone]"),
        ("order 12345 of 2026-11-30, 19.99 EUR", "order 12345 of 2026-11-30, 19.99 EUR"),
    ],
)
def test_what_identifies_a_person_is_replaced_and_the_rest_stays(text: str, redacted: str) -> None:
    assert redact(text, "DE") == redacted


def test_number_without_country_code_stays_where_no_region_is_set() -> None:
    assert redact("call 030 901820 or +49 30 901820", None) == "call 030 901820 or [phone]"
