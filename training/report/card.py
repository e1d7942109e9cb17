"""`MODEL_CARD.md`: what a person should know before using a bundle, in the sections of Hugging Face's cards
(Mitchell et al., "Model Cards for Model Reporting", 2019)."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from models.bundle.manifest import FieldEntry
from training.evaluation.record import Record
from training.report import formats
from training.report.promise import check_promise
from training.report.settings import changed_settings

_TEMPLATES = Path(__file__).parent / "templates"


def model_card(
    base: str, entries: Sequence[FieldEntry], record: Record, provenance: Mapping[str, Any] | None = None
) -> str:
    """The card as Markdown.

    Args:
        base: the base model, a name or a path.
        entries: the bundle's fields.
        record: the run's findings.
        provenance: the manifest's: recipe, data, code and package versions.
    """
    environment = Environment(  # noqa: S701 Markdown, not HTML: `_escape_markdown` escapes every value
        loader=FileSystemLoader(_TEMPLATES),
        finalize=_escape_markdown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {**formats.FILTERS, "code": code}
    figures = record.figures()
    return environment.get_template("card.md.j2").render(
        # Markup: JSON is valid YAML, and contains no line break that could end the front matter.
        base_in_yaml=Markup(json.dumps(base)),  # noqa: S704
        base=base,
        record=record,
        kinds={entry.name: entry.promise.kind for entry in entries},
        promise_checks={
            entry.name: check_promise(entry, figures[entry.name]) for entry in entries if entry.name in figures
        },
        entries=entries,
        figures=figures,
        provenance=provenance,
        changed=changed_settings(provenance["recipe"]) if provenance else (),
    )


def code(value: str) -> Markup:
    """A value as a code span on one line."""
    return Markup(f"`{' '.join(value.replace('`', ' ').split())}`")  # noqa: S704 a code span contains no markup


def _escape_markdown(value: object) -> object:
    """A value on one line, escaped for Markdown and HTML; `Markup` is returned unchanged."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    line = re.sub(r"\s", " ", value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~$])", r"\\\1", line)
