"""A bundle held against closed tickets, through onnxruntime: the path the service takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models.bundle import Bundle, open_bundle
from models.errors import TicketRouterError
from models.fields import DEPARTMENT
from training.data.contract import check_table, raise_faults
from training.data.split import PreparedRow, label_numbers, prepare_rows
from training.data.table import read_table
from training.deliver.export import OnnxModel
from training.measure.metrics import UNKNOWN, FieldFigures, field_figures
from training.report import render_report


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Each field's figures; `empty` rows had no text left and went to review; `unknown` ones have a department that
    the bundle does not know, and count as wrong."""

    bundle: Bundle
    rows: int
    empty: int
    unknown: int
    figures: Mapping[str, FieldFigures]


def evaluate(bundle_path: Path, data: Path, columns: Mapping[str, str]) -> Evaluation:
    """Figures of a bundle on a file of closed tickets. Fields that the file has no column for are left out.

    Raises:
        TicketRouterError: the bundle or the file is not sound, or no row has text.
    """
    bundle = open_bundle(bundle_path)
    table = read_table(data)
    known = [field.name for field in bundle.manifest.label_space()]
    lower = {column.lower() for column in table.columns}
    fields = [name for name in known if name == DEPARTMENT or name in lower or name in columns]
    checked = check_table(table, fields, columns)
    raise_faults(table, checked.faults)
    filled, empty = prepare_rows(checked.rows)
    if not filled:
        raise TicketRouterError(f"{data}: no row has text left after cleaning")
    figures = _figures(bundle, filled, fields)
    unknown = sum(row.row.labels[DEPARTMENT] not in bundle.scorings[0].field.labels for row in filled)
    return Evaluation(bundle, len(checked.rows), empty, unknown, figures)


def _figures(bundle: Bundle, rows: list[PreparedRow], fields: list[str]) -> dict[str, FieldFigures]:
    entry = bundle.model("fp32")
    model = OnnxModel.load(bundle.read(entry.file), bundle.encoder)
    logits = model.logits([bundle.encode(row.text) for row in rows])
    result = {}
    for scoring in bundle.scorings:
        if scoring.field.name in fields:
            labels = label_numbers(rows, scoring.field, unknown=UNKNOWN)
            found = field_figures(logits, labels, scoring)
            if found is not None:
                result[scoring.field.name] = found
    return result


def write_report(found: Evaluation, path: Path) -> None:
    """Write the evaluation as one self-contained HTML page.

    Raises:
        TicketRouterError: the file cannot be written.
    """
    figures = {name: value.model_dump(mode="json") for name, value in found.figures.items()}
    page = render_report(f"Evaluation of bundle {found.bundle.version}", found.bundle.manifest.fields, figures)
    try:
        path.write_text(page, "utf-8")
    except OSError as error:
        raise TicketRouterError(f"{path}: cannot write the report there ({error.strerror})") from error
