"""Traps of exports: values that look like labels or texts but are none, and labels that should not be learned."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

_NULLS = frozenset(
    ("nan", "null", "<na>", "#n/a", "n/a", "na", "none", "(null)", "\\n", "nat", "#ref!", "#value!", "undefined")
)
"""What programs write for a missing value."""
_NO_LABEL = _NULLS | frozenset(
    ("-", "--", "---", "–", "—", ".", "?", "unassigned", "not assigned", "(unassigned)", "[unassigned]", "no team",
     "no group", "(blank)", "(empty)", "(none)", "[none]", "blank", "empty", "tbd", "to be determined", "not set",
     "unset", "no value", "unknown", "unbekannt", "nicht zugewiesen", "nicht zugeordnet", "keine", "kein", "ohne",
     "keine gruppe", "non attribué", "non assigné", "aucun", "aucune", "inconnu", "sin asignar", "no asignado",
     "ninguno", "ninguna", "desconocido", "não atribuído", "nao atribuido", "nenhum", "nenhuma", "desconhecido",
     "non assegnato", "nil", "", "n.a.", "k.a.", "not available", "not applicable", "no group assigned",
     "no team assigned", "no queue", "no department", "no assignment group", "not specified", "unspecified",
     "to be assigned", "pending assignment", "non affecté", "sans groupe", "sem grupo", "sem equipe", "sin grupo",
     "sin equipo", "ohne zuordnung", "keine zuordnung", "keine angabe", "nicht gesetzt")
)  # fmt: skip
_LITERAL_BREAK = re.compile(r"(?<![A-Za-z]:)(?:\\r)?\\n")
_BRACKETS = re.compile(r"[\[({<]\s*([^\[\](){}<>]{2,100}?)\s*[\])}>]")
_SEPARATORS = (" > ", "::", " » ", " → ", " >> ", ">", " / ", "\\", "/")
_LIST_SEPARATORS = re.compile(r"\s*[,;|]\s*")
_MOST_PATHS, _MOST_SLASHES = 0.8, 0.95
DOMINANT = 0.95
ENOUGH_ROWS = 30
"""A label with fewer rows is learned badly, and its figures are uncertain: merge the label, or leave it to people."""


def is_placeholder(label: str) -> bool:
    plain = label.strip().casefold()
    forms = {plain, plain.replace(" ", ""), plain.strip("-–—()[]<>{}*_. ")}
    return bool(plain) and not forms.isdisjoint(_NO_LABEL)


def is_null(cell: str) -> bool:
    return len(cell) < 12 and cell.strip().casefold() in _NULLS


def with_line_breaks(text: str) -> str:
    r"""Literal `\n` as line breaks, where an export wrote them so: at least two, and no real one in the text."""
    if "\\n" not in text or "\n" in text or len(_LITERAL_BREAK.findall(text)) < 2:
        return text
    return _LITERAL_BREAK.sub("\n", text).replace("\\t", "\t")


def names_label(subject: str, label: str) -> bool:
    """Whether the subject has the label in brackets, as routing tools write it: the network would learn only that."""
    return any(found.casefold() == label.casefold() for found in _BRACKETS.findall(subject[:300]))


@dataclass(frozen=True, slots=True)
class Paths:
    """Labels that are paths (`hardware > laptop`), of which the first `level` parts are learned; 0: all."""

    separator: str
    level: int

    def cut(self, label: str) -> str:
        if not self.level:
            return label
        parts = [part.strip() for part in label.split(self.separator)]
        return self.separator.join(parts[: self.level]) if len(parts) > self.level else label


def paths_of(counts: Mapping[str, int], level: int | None) -> Paths | None:
    """How labels that are paths are cut; None: they are none.

    Without a level it is the deepest one at which most rows have a label with ENOUGH_ROWS; the whole path if it has.
    """
    total = sum(counts.values())
    for separator in _SEPARATORS:
        inside = sum(count for label, count in counts.items() if separator in label.strip(separator))
        tops = {label.split(separator)[0].strip() for label in counts}
        needed = _MOST_SLASHES if separator in ("/", "\\") else _MOST_PATHS
        if total and inside >= needed * total and len(tops) * 1.5 <= len(counts):
            break
    else:
        return None
    if level is not None:
        return Paths(separator, level)
    depth = max(label.count(separator) + 1 for label in counts)
    for deep in (0, *range(depth - 1, 0, -1)):
        paths = Paths(separator, deep)
        cut: Counter[str] = Counter()
        for label, count in counts.items():
            cut[paths.cut(label)] += count
        if sum(count for count in cut.values() if count >= ENOUGH_ROWS) >= _MOST_PATHS * total:
            return paths
    return Paths(separator, 1)


def label_traps(field: str, counts: Mapping[str, int]) -> Iterator[str]:
    """Notes on a field's labels as they will be learned."""
    total = sum(counts.values())
    if not total:
        return
    label, most = max(counts.items(), key=lambda item: item[1])
    if len(counts) > 1 and most >= DOMINANT * total:
        yield f"{field}: {label!r} has {most / total:.0%} of all rows: the right column, or a default that was left?"
    parts = Counter(part for each in counts for part in set(_LIST_SEPARATORS.split(each)))
    shared = {part for part, times in parts.items() if times > 1 or part in counts}
    lists = {each: count for each, count in counts.items() if _is_list(each, shared)}
    if sum(lists.values()) >= 0.02 * total:
        example = max(lists, key=lambda each: lists[each])
        yield (
            f"{field}: {sum(lists.values())} rows have a list for a label, such as {example!r}: learned as labels of "
            "their own; merge them in the labels file, or export the one team that closed the ticket"
        )
    numbers = sum(count for each, count in counts.items() if each.removesuffix(".0").isdigit())
    if numbers >= 0.9 * total:
        yield f"{field}: the labels are numbers, probably ids: export the names, or name them in the labels file"


def _is_list(label: str, shared: Collection[str]) -> bool:
    if label.startswith(("[", "{")) and label.endswith(("]", "}")):
        return True
    parts = [part for part in _LIST_SEPARATORS.split(label) if part]
    return len(parts) > 1 and sum(part in shared for part in parts) >= 2
