"""Removes what identifies a person from a text before it is stored: addresses, phone numbers, cards, accounts.

Names and postal addresses stay: no list knows them all. Numbers that only look like a card's or an account's stay if
their check digits are wrong.
"""

import re
from itertools import accumulate

_ADDRESS = re.compile(r"[\w.+%'-]{1,64}@(?:[\w-]{1,63}\.){1,8}[\w-]{2,63}")
_CARD = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}(?![a-z0-9])")
_SHORTEST_IBAN = 15


def redact(text: str, region: str | None) -> str:
    """`region`: ISO 3166 code of the country whose phone numbers are written without a country code; None: only numbers
    with one are found."""
    text = _ADDRESS.sub("[email]", text)
    text = _IBAN.sub(_without_account, text)
    text = _CARD.sub(lambda match: "[card]" if _passes_luhn(match[0]) else match[0], text)
    import phonenumbers  # here: only services that store texts need it

    numbers = list(phonenumbers.PhoneNumberMatcher(text, region))
    for number in reversed(numbers):
        text = f"{text[: number.start]}[phone]{text[number.end :]}"
    return text


def _passes_luhn(number: str) -> bool:
    digits = [int(each) for each in number if each.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _without_account(match: re.Match[str]) -> str:
    """The longest start of the match whose check digits are right (ISO 7064, MOD 97-10): capital letters that follow an
    account number look like a part of it."""
    found = match[0]
    lengths = list(accumulate(each != " " for each in found))
    for end in range(len(found), 0, -1):
        if found[end - 1] == " ":
            continue
        if lengths[end - 1] < _SHORTEST_IBAN:
            break
        account = found[:end].replace(" ", "")
        if int("".join(str(int(each, 36)) for each in account[4:] + account[:4])) % 97 == 1:
            return f"[iban]{found[end:]}"
    return found
