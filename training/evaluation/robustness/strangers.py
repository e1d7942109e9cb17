"""Made-up mail that a desk should leave to people: how much of each kind is refused as strange, and how much is routed.

Most of it is in `strangers.toml`; random letters are drawn.
"""

import random
import string
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

from models.bundle.manifest import Frozen
from models.scoring import FieldVerdict, Outcome, Reason

_FILE = Path(__file__).with_suffix(".toml")
_LETTER_ROWS = 50
STRANGE = (Reason.LANGUAGE, Reason.OUT_OF_SCOPE)


class StrangerFigures(Frozen):
    """One kind of strange mail: its number of texts, those refused as strange, and those routed."""

    kind: str
    rows: int
    refused: int
    routed: int


def stranger_figures(
    answer: Callable[[Sequence[str]], Sequence[FieldVerdict]], seed: int
) -> tuple[StrangerFigures, ...]:
    """Each kind's figures from the department's verdicts on prepared texts."""
    groups = tomllib.loads(_FILE.read_text("utf-8")).values()
    kinds: dict[str, list[str]] = {kind: texts for group in groups for kind, texts in group.items()}
    kinds["random letters"] = random_letters(_LETTER_ROWS, seed)
    return tuple(figures_of(kind, answer(texts)) for kind, texts in kinds.items())


def figures_of(kind: str, verdicts: Sequence[FieldVerdict]) -> StrangerFigures:
    return StrangerFigures(
        kind=kind,
        rows=len(verdicts),
        refused=sum(verdict.reason in STRANGE for verdict in verdicts),
        routed=sum(verdict.outcome is Outcome.ROUTE for verdict in verdicts),
    )


def random_letters(rows: int, seed: int) -> list[str]:
    """Texts of random lower-case words."""
    generator = random.Random(f"{seed} letters")

    def word() -> str:
        return "".join(generator.choice(string.ascii_lowercase) for _ in range(generator.randint(2, 9)))

    return [" ".join(word() for _ in range(generator.randint(3, 14))) for _ in range(rows)]
