"""The table of settings in docs/service.md, written from the settings class, which `--help` prints too.

`python -m tests.docs.settings_table` writes it between the page's two markers.
"""

import re
from typing import Literal, get_args, get_origin

from service.settings import Settings
from tests.support.process import ROOT

PAGE = ROOT / "docs" / "service.md"
BEGIN, END = "<!-- settings: written by python -m tests.docs.settings_table -->", "<!-- settings end -->"


def table() -> str:
    """Name, default (and other choices) and first sentence of each setting's description; `--help` has the rest."""
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "unset" if field.default is None else str(field.default)
        if get_origin(field.annotation) is Literal:
            others = [choice for choice in get_args(field.annotation) if choice != default]
            default = f"{default} ({', '.join(others)})"
        sentence, *_ = re.split(r"(?<=\.) ", " ".join((field.description or "").split()), maxsplit=1)
        rows.append(f"| `{name}` | {default} | {sentence} |")
    return "\n".join(rows)


def with_table(page: str) -> str:
    """The page with the table of today."""
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert end, f"{PAGE}: the markers are missing"
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
