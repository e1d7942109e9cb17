"""Finds the header block that stands above a quoted or forwarded message: "From: … Sent: … To: … Subject: …".

Two roads: known labels (`mail_words.LABELS`), or, after a line of dashes, the shape alone. A customer's own form of
"From: Berlin / To: Paris / Date: 3 March / Subject: refund" has neither an address nor a time of day, and stays, unless
the mail is known to be a reply. Used by `quotes`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from models.text.attribution import has_address, has_date_and_time, has_time
from models.text.client_phrases import LABELS, Role

MAX_LINES = 16

_FIELD = re.compile(r"[*_|\-\s]{0,4}([^\W\d][^:：@<>\"]{0,30}?)[*_\s]{0,3}[:：][*_\s]{0,3}(.*)")
_BLANKS_ALLOWED = 1  # Outlook's bold labels arrive with blank lines between them


@dataclass(frozen=True, slots=True)
class _Field:
    label: str
    value: str

    @property
    def role(self) -> Role | None:
        return LABELS.get(self.label)


def block_end(lines: Sequence[str], start: int, *, after_rule: bool, expected: bool) -> int | None:
    """Index after the header block that starts at `start`, or None. `expected`: subject or marker say so."""
    first = _field(lines[start])
    if first is None or (first.role is None and not after_rule):
        return None
    if not after_rule and start and _is_label(lines, start - 1):
        return None  # inside a block that was read from its first line and is none: reading on would be quadratic
    fields, known_end, end = _fields(lines, start)
    if _by_labels(fields, after_rule=after_rule, expected=expected):
        return known_end  # a contact form's "Message: …" stands below known fields and is no header
    return end if after_rule and _by_shape(fields) else None


def _field(line: str) -> _Field | None:
    if ":" not in line[:60]:
        return None
    match = _FIELD.match(line[:1000])
    return _Field(match[1].strip(" *_").casefold(), match[2]) if match else None


def _fields(lines: Sequence[str], start: int) -> tuple[list[_Field], int, int]:
    """The fields, the index after the last of a known role, and the index after the last of any."""
    fields: list[_Field] = []
    blanks, known_end, end = 0, start, start
    for index in range(start, min(start + MAX_LINES, len(lines))):
        line = lines[index]
        if not line:
            blanks += 1
            if blanks > _BLANKS_ALLOWED:
                break
            continue
        if line.startswith(("> ", ">>")):
            break  # a quote is no header's continuation, and reading on would cost
        field = _field(line)
        if field is not None and (field.role or not blanks):
            fields.append(field)
        elif blanks or not (_continues(fields[-1], line) or _is_label(lines, index + 1)):
            break
        blanks, end = 0, index + 1
        if fields[-1].role:
            known_end = end
    return fields, known_end, end


def _continues(field: _Field, line: str) -> bool:
    """A wrapped list of addresses, or a value that the conversion from HTML put on a line of its own."""
    if field.role is Role.SUBJECT and field.value:
        return False  # the message itself may follow at once
    return has_address(line) or line.endswith((";", ">", ",")) or has_date_and_time(line)


def _is_label(lines: Sequence[str], index: int) -> bool:
    field = _field(lines[index]) if index < len(lines) else None
    return field is not None and field.role is not None


def _by_labels(fields: Sequence[_Field], *, after_rule: bool, expected: bool) -> bool:
    roles = {field.role for field in fields if field.role}
    if Role.FROM not in roles or len(roles) < (2 if after_rule else 3):
        return False
    if any(map(_proves_mail, fields)):
        return True
    return expected and Role.SUBJECT in roles and (after_rule or any(map(_is_sent, fields)))


def _proves_mail(field: _Field) -> bool:
    """An address where people stand, or a time of day where the date stands."""
    if field.role in {Role.FROM, Role.TO}:
        return has_address(field.value)
    return field.role is Role.SENT and has_time(field.value)


def _is_sent(field: _Field) -> bool:
    return field.role is Role.SENT and any(map(str.isdigit, field.value))


def _by_shape(fields: Sequence[_Field]) -> bool:
    addressed = [has_address(field.value) for field in fields]
    dated = [has_date_and_time(field.value) for field in fields]
    return len(fields) >= 3 and any(addressed) and any(dated)
