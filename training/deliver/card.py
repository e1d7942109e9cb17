"""`MODEL_CARD.md`: what a person should know of a bundle before trusting it."""

from collections.abc import Mapping, Sequence
from typing import Any

from models.manifest import FieldEntry


def model_card(base: str, entries: Sequence[FieldEntry], metrics: Mapping[str, Any]) -> str:
    """The card as Markdown."""
    sections = [_head(base, metrics), *(_field(entry, metrics) for entry in entries), _limits()]
    return "\n".join(sections)


def _head(base: str, metrics: Mapping[str, Any]) -> str:
    rows = ", ".join(f"{count} {part}" for part, count in metrics["rows"].items() if count)
    return f"""# Model card

Predicts {", ".join(metrics["encoder"])} of a support ticket. Fine-tuned from `{base}` on the company's own closed
tickets: {rows}. {metrics["removed"]["duplicates"]} repeated and {metrics["removed"]["empty"]} empty rows were left out.
"""


def _field(entry: FieldEntry, metrics: Mapping[str, Any]) -> str:
    lines = [
        f"## {entry.name}: {len(entry.labels)} labels",
        "",
        f"Thresholds were set so that, with {entry.promise.confidence:.0%} confidence, at least "
        f"{entry.promise.route_precision:.0%} of what is routed is right: label by label where a label has enough "
        "calibration rows, for the others together. Each promise holds by itself, not all at once.",
        "",
        "| rows | number | accuracy | macro-F1 | ECE | routed | precision of routed | baseline macro-F1 |",
        "|---|---|---|---|---|---|---|---|",
        *(_figures(part, figures, metrics["baseline"][entry.name].get(part))
          for part, figures in metrics["encoder"][entry.name].items()),
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def _figures(part: str, figures: Mapping[str, Any], baseline: Mapping[str, Any] | None) -> str:
    outcomes = figures["outcomes"]
    precision = "–" if outcomes["route_precision"] is None else f"{outcomes['route_precision']:.3f}"
    gate = "–" if baseline is None else f"{baseline['macro_f1']:.3f}"
    return (
        f"| {part} | {figures['rows']} | {figures['accuracy']:.3f} | {figures['macro_f1']:.3f} | {figures['ece']:.3f} "
        f"| {outcomes['routed']:.1%} | {precision} | {gate} |"
    )


def _limits() -> str:
    return """## Limits

- The figures hold for tickets like those of the data. New products, departments or languages need new training.
- The calibration rows set the thresholds, so their own figures flatter; read the test rows' where there are any.
- `golden.jsonl` holds up to 50 tickets of the data as they were: whoever may read the bundle may read those.
"""
