"""The report as Markdown and its plot, from the raw results alone; docs/results.md has its main columns."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.benchmarks.serving.figures import BASE, ByRound, Figures, Spread, ratio, spread
from tests.benchmarks.serving.plot import write_plot
from tests.benchmarks.serving.records import Results
from tests.benchmarks.serving.rounds import OURS, OURS_SHIPPED, OURS_STUDENT
from tests.benchmarks.serving.servers import naive

NONE = "–"
TITLES = {"short": "Short questions", "long": "Long complaints", "mix": "Half short, half long"}
_OWN = (OURS, OURS_SHIPPED, OURS_STUDENT, naive().name)
"""What is no framework."""

INTRODUCTION = """# Benchmarks: our service and its peers, side by side

Written by `python -m tests.benchmarks.serving`; don't edit it by hand. Every server answers the same tickets with the
same ONNX file, the same tokenizer, the same onnxruntime with spinning off, and as many threads as the machine has
cores; the client runs on the same machine. Ours does more for each ticket than the others: it cleans the text and
judges the answer against thresholds; they give the likeliest label and its probability. Its answer cache is off (unless
the command below says otherwise), so that repeated texts are really computed.
"""

READING = """## How to read it

- **The bare loop** is the machine's limit: a plain loop of model runs over tickets that are already tokens, sorted by
  length, without HTTP; the best of one thread for each of as many runs side by side as there are cores and of all cores
  for one run, and of batches of 1, 4, 8, 16 and 32.
- **Tickets/s** come from a closed loop: so many callers, each of whom asks again as soon as it is answered. Only good
  answers count. The figure is the median over rounds, in brackets the least and the most.
- **÷ loop** is tickets/s with the most callers, divided by the bare fp32 loop of the same round.
- **Alone ÷ bare** is the median answer time of a single caller, divided by that of a bare run of one ticket in its best
  thread setting.
- **p50, p99** are milliseconds with the most callers; p99 ÷ p50 shows whether somebody starves. Refusals don't count
  as answers; they stand under errors.
- **CPU** is what the server and all its processes spent on a ticket, in milliseconds; **MB** the sum of its processes'
  highest memory, pages that they share counted for each.
- **Open loop**: tickets come at random moments, at a share of our fp32 throughput with the most callers. Answer times
  count from the moment a ticket was due, so a queue shows. Ours only: at these rates a slower server merely piles up.
- One server runs at a time, started afresh in every round, and the order is turned from round to round. Figures of two
  servers are comparable within this page, not with another machine or day.
"""


def write_report(results: Results, path: Path) -> None:
    """Write the page, and its plot beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plot = path.with_suffix(".svg")
    write_plot(results, plot)
    path.write_text(render(results, plot.name), "utf-8")


def render(results: Results, plot: str) -> str:
    """The page. `plot` is the file name of the picture."""
    sections = [Figures(results, name) for name in results.about.workloads]
    measured = [figures for figures in sections if figures.servers]
    parts = [
        INTRODUCTION,
        f"![Tickets per second, every server and the bare loop]({plot})\n",
        _summary(measured),
        *(_section(figures) for figures in measured),
        READING,
        _surroundings(results),
    ]
    return "\n".join(part for part in parts if part)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, numbers to the right of the first column."""
    lines = [header, ["---", *["--:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def number(value: float) -> str:
    """Three digits that mean something, never more than a measurement has."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _middle(values: ByRound) -> str:
    found = spread(values.values())
    return number(found.middle) if found else NONE


def _ranged(values: ByRound) -> str:
    found = spread(values.values())
    return f"{number(found.middle)} ({number(found.low)}–{number(found.high)})" if found else NONE


def _ratio(found: Spread | None) -> str:
    return f"{found.middle:.2f}" if found else NONE


def _summary(sections: Sequence[Figures]) -> str:
    header = ("", "fp32 ÷ loop", "fp32 ÷ naive", "fp32 ÷ best framework", "shipped ÷ loop", "student ÷ loop")
    rows = [_summary_row(figures) for figures in sections]
    return "## Ours against the others\n\n" + _text(sections) + table(header, rows)


def _text(sections: Sequence[Figures]) -> str:
    most = max((figures.callers[-1] for figures in sections), default=0)
    words = "divided by the others' in the same round; the loop is the bare fp32 one"
    return f"Our tickets/s with {most} callers, {words}.\n\n"


def _summary_row(figures: Figures) -> list[str]:
    most = figures.callers[-1]
    ours, loop = figures.closed(OURS, most, "rate"), figures.ceiling(BASE)
    best = _best_framework(figures, most)
    against_best = ratio(ours, figures.closed(best, most, "rate")) if best else None
    return [
        TITLES.get(figures.workload, figures.workload),
        _ratio(ratio(ours, loop)),
        _ratio(ratio(ours, figures.closed(naive().name, most, "rate"))),
        f"{_ratio(against_best)} ({best})" if best else NONE,
        _ratio(ratio(figures.closed(OURS_SHIPPED, most, "rate"), loop)),
        _ratio(ratio(figures.closed(OURS_STUDENT, most, "rate"), loop)),
    ]


def _best_framework(figures: Figures, callers: int) -> str | None:
    rates = {name: spread(figures.closed(name, callers, "rate").values()) for name in figures.servers}
    others = {name: found.middle for name, found in rates.items() if found and name not in _OWN}
    return max(others, key=others.__getitem__, default=None)


def _section(figures: Figures) -> str:
    title = TITLES.get(figures.workload, figures.workload)
    words = f"{figures.results.about.workloads[figures.workload]}."
    if variant := figures.results.variants.get(figures.workload):
        words += f" The shipped variant is {variant}."
    return f"## {title}\n\n{words}\n\n{_closed_table(figures)}\n{_open_table(figures)}"


def _closed_table(figures: Figures) -> str:
    loads = [f"tickets/s, {callers} caller{'s' * (callers > 1)}" for callers in figures.callers]
    header = ["", *loads, "÷ loop", "alone ÷ bare", "p50", "p99", "p99 ÷ p50", "CPU", "MB", "errors"]
    loops = [_loop_row(figures, variant, len(header)) for variant in figures.variants]
    return table(header, [*loops, *(_closed_row(figures, server) for server in figures.servers)])


def _loop_row(figures: Figures, variant: str, columns: int) -> list[str]:
    """The bare loop stands under the most callers: it is never out of work."""
    best = figures.best_loop(variant)
    assert best is not None  # `variants` are those that have records
    rates, few = figures.ceiling(variant), len(figures.callers) - 1
    name = f"*bare loop, {variant}* ({best.runs} × {best.threads} thread{'s' * (best.threads > 1)}, batch {best.batch})"
    single = f"({_middle(figures.single(variant))} ms)"
    cells = [name, *[""] * few, _ranged(rates), _ratio(ratio(rates, figures.ceiling(BASE))), single]
    return [*cells, *[""] * (columns - len(cells))]


def _closed_row(figures: Figures, server: str) -> list[str]:
    first, most = figures.callers[0], figures.callers[-1]
    variant = BASE if server not in (OURS_SHIPPED, OURS_STUDENT) else figures.variants[-1] if figures.variants else BASE
    median, high = figures.closed(server, most, "median"), figures.closed(server, most, "p99")
    alone = ratio(figures.closed(server, first, "median"), figures.single(variant)) if first == 1 else None
    return [
        server,
        *(_ranged(figures.closed(server, callers, "rate")) for callers in figures.callers),
        _ratio(ratio(figures.closed(server, most, "rate"), figures.ceiling(BASE))),
        NONE if server == OURS_STUDENT else _ratio(alone),
        _middle(median),
        _middle(high),
        _ratio(ratio(high, median)),
        _middle(figures.closed(server, most, "server_ms")),
        _middle(figures.closed(server, most, "megabytes")),
        str(figures.errors(server)),
    ]


def _open_table(figures: Figures) -> str:
    if not figures.shares:
        return ""
    loads = [f"{share:.0%}: {name}" for share in figures.shares for name in ("tickets/s", "p50", "p99", "p99 ÷ bare")]
    words = "Open loop, at these shares of our own fp32 throughput ("
    words += ", ".join(f"{share:.0%}: {_middle(figures.open(OURS, share, 'offered'))}" for share in figures.shares)
    ours = (server for server in figures.servers if server in (OURS, OURS_SHIPPED, OURS_STUDENT))
    rows = [[server, *_open_cells(figures, server)] for server in ours]
    return f"{words} tickets/s offered):\n\n" + table(["", *loads], rows)


def _open_cells(figures: Figures, server: str) -> list[str]:
    cells = []
    for share in figures.shares:
        high = figures.open(server, share, "p99")
        cells += [_middle(figures.open(server, share, "rate")), _middle(figures.open(server, share, "median"))]
        cells += [_middle(high), _ratio(ratio(high, figures.single(BASE)))]
    return cells


def _surroundings(results: Results) -> str:
    about = results.about
    client = spread(record.client_ms for record in results.closed if record.callers > 1)
    versions = ", ".join(f"{name} {version}" for name, version in about.versions.items())
    lines = [
        "## Where and how",
        "",
        f"- Machine: {about.processor}, {about.cores} cores used, {' '.join(about.instructions) or 'no vector sets'}.",
        f"- Versions: {versions}.",
        f"- {about.rounds} rounds, windows of {about.seconds:g} s. The client spends {client.middle:.3f} ms of CPU per "
        "ticket on the same cores (median over closed loops of more than one caller)."
        if client
        else f"- {about.rounds} rounds, windows of {about.seconds:g} s.",
        *(f"- {name}: {settings}." for name, settings in about.servers.items()),
        *(f"- **{name} is not in every round:** {why.partition('; see ')[0]}." for name, why in results.failed.items()),
        "",
        f"```sh\n{about.command}\n```",
    ]
    return "\n".join(lines) + "\n"
