"""The table of header names (names.toml): which role a column plays, by its name alone."""

import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from models.fields import DEPARTMENT

TOPIC, KIND = "department_topic", "department_kind"
"""Weaker tables of the department's names: what a ticket is about, and what else has few values."""
_AGAIN = re.compile(r" \((\d+|UTC|GMT)\)$")
_CUSTOM = re.compile(r"^\s*custom field \((.+)\)\s*$", re.IGNORECASE)
_NAMING = ("name", "displayname", "displayvalue", "value", "title")
"""Last parts of nested names that say nothing of their own: `ticket.group.name` is a group."""
_TEAM = re.compile(
    "(team|teams|group|groups|gruppe|queue|queues|department|departments|dept|abteilung|equipe|equipo|grupo|setor|"
    "departamento|departement|warteschlange|fila|cola|bereich|groupe|gruppo|reparto|afdeling|team name)"
)
_NO_TEAM = re.compile(
    "(customer|user|requester|requestor|caller|contact|client|kunde|kunden|age|email|reporter|id|size)"
)


@cache
def plain_name(column: str) -> str:
    """A header name without case, accents and marks: `Created At`, `created_at` and `createdAt` are equal."""
    column = _CUSTOM.sub(r"\1", column)
    plain = unicodedata.normalize("NFKD", _AGAIN.sub("", column).casefold())
    letters = "".join(letter for letter in plain if letter.isalnum())
    return letters or column.strip()


@cache
def names_of(role: str) -> tuple[str, ...]:
    """A role's names, plain, most telling first; a role without a table has its own name."""
    by_source = _tables().get(role, {"en": [role]})
    return tuple(dict.fromkeys(plain_name(name) for names in by_source.values() for name in names))


@cache
def roles() -> tuple[str, ...]:
    """Every role that a column can be mapped to, without the fields."""
    return tuple(role for role in _tables() if role not in (TOPIC, KIND))


def columns_named(role: str, columns: Sequence[str]) -> list[str]:
    """The columns with one of a role's names, most telling first; whole names before last parts (`ticket.subject`)."""
    places = {name: place for place, name in enumerate(names_of(role))}
    found = []
    for order, column in enumerate(columns):
        parts = [plain_name(part) for part in re.split(r"[./]", column)]
        last = parts[-2] if len(parts) > 1 and parts[-1] in _NAMING else parts[-1]
        for nested, name in enumerate((plain_name(column), last)):
            if name in places:
                found.append((nested, places[name], order, column))
                break
    return [column for *_, column in sorted(found)]


def with_team_word(columns: Sequence[str]) -> list[str]:
    """The columns that name a team among other words, as in `Last resolver queue`; not the customer's team."""
    found = []
    for column in columns:
        spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", column)
        words = [plain_name(word) for word in re.split(r"[\W_]+", spaced) if word]
        if any(map(_TEAM.fullmatch, words)) and not any(map(_NO_TEAM.fullmatch, words)):
            found.append(column)
    return found


def known_names(cells: Sequence[str]) -> int:
    """How many of these cells are header names of any role: a header has several, a row of data hardly one."""
    every = _every_name()
    return len({name for cell in cells if len(cell) < 60 and (name := plain_name(cell.strip())) in every})


def is_own_name(column: str) -> bool:
    """Whether a department's column bears this project's own name for it, which leaves no doubt beside a topic."""
    return plain_name(column) in (plain_name(DEPARTMENT), "label")


@cache
def _every_name() -> frozenset[str]:
    return frozenset(name for role in _tables() for name in names_of(role))


@cache
def _tables() -> Mapping[str, Mapping[str, Sequence[str]]]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
