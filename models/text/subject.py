"""Removes reply and forward prefixes and ticket tags from a subject, and reports which prefixes there were.

A list's own tag ("[Billing]") stays: it often names the department.
"""

import re
from dataclasses import dataclass

from models.text.normalise import clean_line

MAX_CHARACTERS = 1_000

_REPLY = (
    "re|aw|antw|antwort|sv|vs|odp|ref|res|r|rif|rép|rep|réf|ynt|yan|απ|σχετ|ha|ответ|отв|від|вид|bls|atb|vá|"
    "回复|回覆|答复|答覆|返信|回信|回應|답장|回"
)
_FORWARD = "fwd?|wg|tr|rv|i|enc|doorst|vb|vl|fs|pd|továbbítás|ilt|i̇lt|πρθ|пересл|пер|转发|轉寄|轉發|転送|전달"
_PREFIX = re.compile(
    rf"\s*(?:(?P<reply>{_REPLY})|(?P<forward>{_FORWARD}))\s?(?:\[\d{{1,3}}\]|\(\d{{1,3}}\)|\^\d{{1,3}})?\s?:\s*",
    re.IGNORECASE,
)
_TAG = re.compile(
    r"\[[^\[\]]{0,40}#\s?[\w-]{0,30}\d[^\[\]]{0,20}\]"
    r"|\[(?:ext|external|extern|externe|caution)(?: (?:e-?mail|sender))?\]:?"
    r"|\((?:ext|external|extern)\)",
    re.IGNORECASE,
)
_MAX_PREFIXES = 20


@dataclass(frozen=True, slots=True)
class Subject:
    text: str
    forwarded: bool
    replied: bool
    """There is a reply prefix, also in "Fwd: Re: x": the inner message answers another."""


def read_subject(subject: str) -> Subject:
    if not subject:  # chats and forms have none
        return Subject("", forwarded=False, replied=False)
    text = _TAG.sub(" ", clean_line(subject[:MAX_CHARACTERS])).strip()
    kinds: list[str] = []
    for _ in range(_MAX_PREFIXES):
        match = _PREFIX.match(text)
        if match is None:
            break
        kinds.append("forward" if match["forward"] else "reply")
        text = text[match.end() :]
    # The outermost prefix tells what this mail is: "Re: Fwd: x" answers a forward.
    return Subject(" ".join(text.split()), forwarded=kinds[:1] == ["forward"], replied="reply" in kinds)
