"""Finds the header block that stands above a quoted or forwarded message: "From: … Sent: … To: … Subject: …".

Contact forms have such lines too. Only an address in From or To, or a time in "Sent:", proves a mail; and a blank line
must end the block, because in a form another field follows. Used by `quotes`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from models.text.attribution import has_address, has_date_and_time, has_time
from models.text.client_phrases import DATE_LABELS, LABELS, Role

MAX_LINES = 16

_FIELD = re.compile(r"[*_|\-\s]{0,4}([^\W\d][^:：@<>\"]{0,30}?)[*_\s]{0,3}[:：][*_\s]{0,3}(.*)")


@dataclass(frozen=True, slots=True)
class _Field:
    label: str
    value: str

    @property
    def role(self) -> Role | None:
        return LABELS.get(self.label)

    @property
    def proves_mail(self) -> bool:
        """An address in From or To, or a time of day behind a label that forms do not use."""
        if self.role in {Role.FROM, Role.TO}:
            return has_address(self.value)
        return self.role is Role.SENT and self.label not in DATE_LABELS and has_time(self.value)

    def continues_in(self, line: str) -> bool:
        """A wrapped list of addresses, or a value that the conversion from HTML put on a line of its own."""
        if self.role is Role.SUBJECT and self.value:
            return False  # the message itself may follow at once
        return has_address(line) or line.endswith((";", ">", ",")) or has_date_and_time(line)


@dataclass(frozen=True, slots=True)
class Block:
    """A header block that ends before line `end`, with the values of its From and Subject."""

    end: int
    sender: str
    subject: str
    whole: bool
    """It has From, date, To and Subject; forms have no To."""


def read_block(lines: Sequence[str], start: int, *, after_rule: bool, expected: bool = False) -> Block | None:
    """The header block that starts at `start`.

    `after_rule`: a line of dashes or a client's phrase stands above. `expected`: the mail may be a reply, so a whole
    block with a day and a time is proof enough.
    """
    if not _is_known_field(lines, start):
        return None
    if not after_rule and start and _is_known_field(lines, start - 1):
        return None  # in a block that was rejected at its first line: reading it again would be quadratic
    fields, end = _read_fields(lines, start)
    roles = {field.role for field in fields if field.role}
    whole = len(roles) == len(Role)
    if Role.FROM not in roles or len(roles) < (2 if after_rule else 3):
        return None
    dated = expected and whole and any(each.role is Role.SENT and has_date_and_time(each.value) for each in fields)
    below = "".join(lines[end : end + 1])
    if not (dated or any(field.proves_mail for field in fields)) or _read_field(below) or (not after_rule and below):
        return None  # a form: its message stands in the next field
    return Block(end, _value(fields, Role.FROM), _value(fields, Role.SUBJECT), whole)


def _value(fields: Sequence["_Field"], role: Role) -> str:
    return next((field.value for field in fields if field.role is role), "")


def _read_field(line: str) -> _Field | None:
    if ":" not in line[:60]:
        return None
    match = _FIELD.match(line[:1000])
    return _Field(match[1].strip(" *_").casefold(), match[2]) if match else None


def _read_fields(lines: Sequence[str], start: int) -> tuple[list[_Field], int]:
    """The fields, and the index after the last of a known role."""
    fields: list[_Field] = []
    end = start
    for index in range(start, min(start + MAX_LINES, len(lines))):
        line = lines[index]
        if not line or line.startswith(("> ", ">>")):
            break  # a quote continues no header
        field = _read_field(line)
        if field is not None:
            fields.append(field)
        elif not (fields[-1].continues_in(line) or _is_known_field(lines, index + 1)):
            break
        if fields[-1].role:
            end = index + 1
    return fields, end


def _is_known_field(lines: Sequence[str], index: int) -> bool:
    field = _read_field(lines[index]) if index < len(lines) else None
    return field is not None and field.role is not None
