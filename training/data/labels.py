"""The labels file: labels that are merged, labels that are retired, and labels that are out of scope.

The contract applies it to every row; later code reads only the final labels.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Self

import tomlkit
from pydantic import AfterValidator, ConfigDict, RootModel, model_validator

from models.bundle.manifest import Frozen
from models.fields import DEPARTMENT
from training.toml_files import load_toml


def one_spaced(label: str) -> str:
    """A normalised label: no outer blanks, one space for each run of inner blanks."""
    return " ".join(label.split())


Label = Annotated[str, AfterValidator(one_spaced)]


class FieldRules(Frozen):
    """The rules for one field's labels."""

    aliases: Mapping[Label, Label] = {}
    """Other spellings and merges: the left label becomes the right one."""
    retire: frozenset[Label] = frozenset()
    """No longer used. Rows with a retired department are left out; in other fields the value counts as missing."""
    out_of_scope: frozenset[Label] = frozenset()
    """Never learned; the rows measure out-of-scope detection. For the department only."""
    descriptions: Mapping[Label, str] = {}
    """What labels mean, for the people of the service's desk; training does not use it."""

    @model_validator(mode="after")
    def _has_one_meaning(self) -> Self:
        for left, right in self.aliases.items():
            if right in self.aliases:
                raise ValueError(f"alias {left!r} leads to {right!r}, which is an alias itself; name the last label")
            if right in self.retire:
                raise ValueError(f"alias {left!r} leads to {right!r}, which is retired; retire {left!r} instead")
            if left in self.retire | self.out_of_scope:
                raise ValueError(f"{left!r} is an alias and stands in retire or out_of_scope too; keep one")
        for label in sorted(self.retire & self.out_of_scope):
            raise ValueError(f"{label!r} stands in retire and in out_of_scope; keep one")
        return self

    def names(self) -> frozenset[str]:
        """Every label that the rules name."""
        return self.retire | self.out_of_scope | frozenset(self.aliases)


_NOTHING = FieldRules()


class LabelRules(RootModel[Mapping[str, FieldRules]]):
    """The whole file: rules by field."""

    model_config = ConfigDict(frozen=True)
    root: Mapping[str, FieldRules] = {}

    @model_validator(mode="after")
    def _scope_is_the_departments(self) -> Self:
        for field, rules in self.root.items():
            if field != DEPARTMENT and rules.out_of_scope:
                raise ValueError(f"[{field}] has out_of_scope; only [{DEPARTMENT}] can, for others use retire")
        return self

    def of(self, field: str) -> FieldRules:
        return self.root.get(field, _NOTHING)

    def unused(self, seen: Mapping[str, Iterable[str]]) -> Iterator[str]:
        """Entries of the file that match nothing: fields that are not learned, labels that no row has.

        Args:
            seen: field → its labels in the table.
        """
        for field, rules in self.root.items():
            missing = sorted(rules.names() - set(seen.get(field, ())))
            if field not in seen:
                yield f"labels file: [{field}] is none of the fields {', '.join(seen)}; its rules are not used"
            elif missing:
                yield f"labels file: [{field}] names labels that no row has: {', '.join(missing)}"


NO_RULES = LabelRules()


def load_rules(path: Path | None) -> LabelRules:
    """Read a labels file; without a path, no rules.

    Raises:
        TicketRouterError: the file is unreadable, not TOML, has an unknown key, or contradicts itself.
    """
    return NO_RULES if path is None else load_toml(path, LabelRules, "labels file")


def spellings(counts: Mapping[str, int]) -> dict[str, str]:
    """Labels that differ from another only by case or blanks → that label: the most frequent (on a tie, the first)."""
    alike: dict[str, list[str]] = defaultdict(list)
    for label in counts:
        alike["".join(unicodedata.normalize("NFKC", label).casefold().split())].append(label)
    chosen = {max(labels, key=lambda label: counts[label]): labels for labels in alike.values()}
    return {label: kept for kept, labels in chosen.items() for label in labels if label != kept}


def alias_lines(field: str, aliases: Mapping[str, str]) -> str:
    """The aliases in the format of the labels file."""
    table = tomlkit.inline_table()
    table.update(aliases)
    return tomlkit.dumps({field: {"aliases": table}}).rstrip()
