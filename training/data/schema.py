"""The pandera schema of a mapped table's cells. `contract` builds the frame and keeps the faults.

A column of the frame is a role (`department`) or a value computed from a role (`created_at:age`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from pandera.errors import SchemaErrors
from pandera.pandas import Check, Column, DataFrameSchema

from models.fields import DEPARTMENT
from models.label_source import LabelSource

LABEL_CHARACTERS = 100
SPLITS = {
    "train": "train", "training": "train",
    "valid": "validation", "validation": "validation", "val": "validation", "dev": "validation",
    "calibration": "calibration", "cal": "calibration",
    "test": "test", "": "",
}  # fmt: skip
"""Usual names of the parts → parts; empty: the split decides the row's part."""
SOURCES: Mapping[str, LabelSource | None] = {
    "": None,
    **{source.value: source for source in LabelSource},
    **dict.fromkeys(("router", "auto", "automatic", "model", "prediction", "predicted"), LabelSource.ROUTER_UNCHECKED),
}
"""Words of exports → sources."""
_OLDEST_DAYS = 50 * 365


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in one cell, or in one row if `column` is empty. `what` never repeats a cell's content."""

    line: int
    what: str
    column: str = ""
    """The column's name in the file."""

    def __str__(self) -> str:
        # If the column's name equals the role's, `what` already contains it.
        named = not self.column or self.what.lower().startswith(self.column.lower())
        return f"line {self.line}{'' if named else f', column {self.column[:40]!a}'}: {self.what}"


def find_faults(frame: pd.DataFrame, fields: Sequence[str]) -> list[tuple[int, str, str]]:
    """Check a frame against the schema.

    Args:
        frame: indexed by line. By role: labels (empty: none), `split`, `content_type` and
            `label_source` as lower-case text; `ROLE:age`
            and `closed_at:wait` in days, missing without a date; `ROLE:read` the fault of a date, mostly empty;
            `id:clash` the line of the same id with another label, or 0.
        fields: the fields to learn.

    Returns:
        Line, role and fault, by line.
    """
    try:
        _schema(fields).validate(frame, lazy=True)
    except SchemaErrors as error:
        return sorted(_describe_failures(error.failure_cases))
    return []


def _schema(fields: Iterable[str]) -> DataFrameSchema:
    labels = {field: Column(checks=_label_checks(field)) for field in fields}
    dates = {f"{role}:{part}": column for role in ("created_at", "closed_at") for part, column in _date(role).items()}
    return DataFrameSchema(
        labels
        | dates
        | {
            "split": _cell(Check.isin(SPLITS, error="split is none of train, validation, calibration, test")),
            "content_type": _cell(
                Check.isin(("", "text/plain", "text/html"), error="content_type is neither text/plain nor text/html")
            ),
            "label_source": _cell(
                Check.isin(SOURCES, error=f"label_source is none of {', '.join(LabelSource)}; leave it empty")
            ),
            # Export tools may write a date without a time: it reads as midnight, so it may precede the arrival.
            "closed_at:wait": _cell(Check.ge(-1, error="closed_at lies before created_at; mend one of them")),
            "id:clash": _cell(
                Check.equal_to(0, error="id is that of line {} too, which has another label; keep the right one")
            ),
        }
    )


def _label_checks(field: str) -> list[Check]:
    short = Check(
        lambda labels: labels.str.len() <= LABEL_CHARACTERS,
        error=f"a label has over {LABEL_CHARACTERS} characters; is the column the right one?",
    )
    filled = Check.ne("", error="department is empty; fill it in or remove the row")
    return [filled, short] if field == DEPARTMENT else [short]


def _date(role: str) -> dict[str, Column]:
    return {
        "read": _cell(Check.equal_to("", error="{}")),
        "age": _cell(
            Check.ge(-1, error=f"{role} lies in the future; mend it"),
            Check.le(_OLDEST_DAYS, error=f"{role} lies over fifty years back; leave it empty where it is not known"),
        ),
    }


def _cell(*checks: Check) -> Column:
    return Column(required=False, nullable=True, checks=list(checks))


def _describe_failures(cases: pd.DataFrame) -> Iterable[tuple[int, str, str]]:
    """The failed checks as messages. Only a message with {} shows the cell: such cells are computed, not ticket
    content."""
    for line, name, check, case in zip(
        cases["index"], cases["column"], cases["check"], cases["failure_case"], strict=True
    ):
        yield int(line), name.partition(":")[0], check.format(case)
