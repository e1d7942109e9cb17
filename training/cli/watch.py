"""Progress of reading on standard error: one changing line on a terminal, nothing in a pipe."""

import contextlib
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def watching() -> Iterator[Callable[[str, int], None] | None]:
    """A function to tell of a stage and its rows; None where nobody watches."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield None
        return
    with console.status("reading", spinner="line") as status:
        yield lambda stage, rows: status.update(f"{stage}: {rows:,} rows" if rows else stage)
