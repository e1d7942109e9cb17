"""A check's result → one self-contained HTML page for the owner of the data: nothing runs, nothing is loaded."""

from typing import Any

from markupsafe import Markup

from training.report.formats import HERE, html_environment

_MOST_MONTHS = 36
_REASONS = {
    "not_closed": "still open: the department at close is not known yet",
    "unchecked": "the router itself set the department, and no person checked it",
    "unlabelled": "no department, or a placeholder for one",
    "retired": "the labels file retires the department",
    "out_of_scope": "the labels file declares the department out of scope; used to test refusal",
    "empty": "no text is left after cleaning (quotes, signatures)",
    "duplicates": "the same text as an earlier row",
}


def render_check(found: Any) -> str:
    """The page as HTML text, from a `Readiness` (a higher package's, hence Any)."""
    months = sorted(found.slices.get("month", {}))[-_MOST_MONTHS:]
    left_out = [(_REASONS[name], name.replace("_", " "), number) for name, number in found.left_out if number]
    # A label's rows by month as bars of a small chart: place, height in 0…1, and the text for screen readers.
    bars = {
        label: [
            (place, counts.get(month, 0) / max(counts.values()), f"{month}: {counts.get(month, 0)}")
            for place, month in enumerate(months)
        ]
        for label, counts in found.by_month.items()
    }
    return (
        html_environment()
        .get_template("check.html.j2")
        .render(
            found=found,
            used=sum(found.fields[0].counts.values()) if found.fields else 0,
            months=months,
            bars=bars,
            left_out=left_out,
            largest=max(found.fields[0].counts.values(), default=1) if found.fields else 1,
            # Markup: a file of the product.
            style=Markup((HERE / "style.css").read_text("utf-8")),  # noqa: S704
        )
    )
