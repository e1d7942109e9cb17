"""A mail before it has a format: what the writer typed, how it is signed, and the thread that hangs below it.

`compose.py` and `thread.py` make drafts, `render.py` turns them into plain text or HTML.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Thread:
    """An earlier message below the new one: quoted in a reply, or passed on in a forward."""

    lead: tuple[str, ...]
    """The line or lines above it ("On … wrote:", or marker and headers)."""
    paragraphs: tuple[str, ...]
    marked: bool
    """Each line begins with ">"."""
    earlier: "Thread | None" = None


@dataclass(frozen=True, slots=True)
class Draft:
    subject: str
    paragraphs: tuple[str, ...]
    signature: tuple[str, ...] = ()
    thread: Thread | None = None
    client: str = "plain"
    wraps: bool = False
    auto_reply: bool = False
