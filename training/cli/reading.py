"""Progress of reading on standard error: one changing line on a terminal, nothing in a pipe."""

import contextlib
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def reading_progress() -> Iterator[Callable[[str, int], None] | None]:
    """A function that shows a stage and its number of rows; None if standard error is no terminal."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield None
        return
    with console.status("reading", spinner="line") as status:
        yield lambda stage, rows: status.update(f"{stage}: {rows:,} rows" if rows else stage)
