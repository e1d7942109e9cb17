"""Reads the phrase files (`phrases/*.txt`): intents, and the phrases that every mail may use.

A file is sections `== name | temper | department weight, …` (or `== common`) of `key: template` lines; `#` comments.
"""

import functools
import pathlib
from collections import defaultdict
from dataclasses import dataclass

from training.sample.company import DEPARTMENTS, PRIORITY_WEIGHTS

_FOLDER = pathlib.Path(__file__).parent / "phrases"

Phrases = dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Intent:
    """One topic of tickets, in one language."""

    name: str
    temper: str
    departments: tuple[tuple[str, int], ...]
    """Departments and weights; more than one for a contested topic."""
    phrases: Phrases

    @property
    def contested(self) -> bool:
        return len(self.departments) > 1

    @property
    def from_newcomer(self) -> bool:
        return self.departments[0][0] in {"sales", "onboarding"} or "trial" in self.name


@dataclass(frozen=True, slots=True)
class Phrasebook:
    """All phrases of one language."""

    intents: tuple[Intent, ...]
    common: Phrases

    def intents_of(self, department: str) -> tuple[Intent, ...]:
        return tuple(one for one in self.intents if one.departments[0][0] == department and not one.contested)

    def contested(self) -> tuple[Intent, ...]:
        return tuple(one for one in self.intents if one.contested)


@functools.cache
def phrasebook(language: str) -> Phrasebook:
    """All phrases of a language, from its files.

    Raises:
        ValueError: a section has an unknown temper or department, or lacks a subject or a problem.
    """
    intents: list[Intent] = []
    common: Phrases = {}
    for path in sorted(_FOLDER.glob(f"*.{language}.txt")):
        for head, phrases in _sections(path):
            if head == "common":
                common = phrases
                continue
            name, temper, owners = (part.strip() for part in head.split("|"))
            departments = []
            for owner in owners.split(","):
                department, _, weight = owner.strip().partition(" ")
                if department not in DEPARTMENTS:
                    raise ValueError(f"phrase file: unknown department {department!r}")
                departments.append((department, int(weight or 1)))
            if temper not in PRIORITY_WEIGHTS or not {"subject", "problem"} <= phrases.keys():
                raise ValueError(f"phrase file: section {name!r} has an unknown temper or lacks a subject or a problem")
            intents.append(Intent(name, temper, tuple(departments), phrases))
    return Phrasebook(tuple(intents), common)


def _sections(path: pathlib.Path) -> list[tuple[str, Phrases]]:
    """Each section's head, and its templates by key."""
    found: list[tuple[str, defaultdict[str, list[str]]]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("== "):
            found.append((line[3:], defaultdict(list)))
        elif line.strip() and not line.startswith("#"):
            key, template = line.split(": ", 1)
            found[-1][1][key].append(template.strip())
    return [(head, {key: tuple(lines) for key, lines in phrases.items()}) for head, phrases in found]
