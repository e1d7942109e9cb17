"""Draft of a mail (typed text, signature, thread) → plain text or HTML.

`compose.py` and `thread.py` make the drafts.
"""

import html
import re
import textwrap
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


_GMAIL_QUOTE = '<blockquote class="gmail_quote" style="margin:0 0 0 .8ex;border-left:1px solid #ccc;padding-left:1ex">'
_OUTLOOK_HEAD = (
    '<html xmlns:o="urn:schemas-microsoft-com:office:office"><head>'
    '<meta http-equiv="Content-Type" content="text/html; charset=utf-8">'
    "<style><!-- p.MsoNormal {margin:0cm; font-size:11.0pt; font-family:Calibri,sans-serif;} "
    "a:link {color:#0563C1;} --></style></head>"
)
_OUTLOOK_RULE = '<div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm">'


def body_of(draft: Draft) -> tuple[str, str]:
    """The body and its content type."""
    if draft.client == "gmail":
        return gmail(draft), "text/html"
    if draft.client == "outlook":
        return outlook(draft), "text/html"
    return plain(draft), "text/plain"


def plain(draft: Draft) -> str:
    paragraphs = [textwrap.fill(part, 72) if draft.wraps and "\n" not in part else part for part in draft.paragraphs]
    parts = ["\n\n".join(paragraphs)]
    if draft.signature:
        # The name is directly below the closing formula, a signature block after an empty line.
        parts.append(("\n" if len(draft.signature) < 4 else "\n\n") + "\n".join(draft.signature))
    if draft.thread:
        parts.append("\n\n" + "\n".join(_thread_lines(draft.thread)))
    return "".join(parts).strip()


def _thread_lines(thread: Thread) -> list[str]:
    inner = "\n\n".join(thread.paragraphs).split("\n")
    if thread.earlier:
        inner += ["", *_thread_lines(thread.earlier)]
    if thread.marked:
        return [*thread.lead, *(f"> {line}".rstrip() for line in inner)]
    return [*thread.lead, "", *inner]


def gmail(draft: Draft) -> str:
    text = "<div><br></div>".join(f"<div>{_escape(part)}</div>" for part in draft.paragraphs)
    sign = "<br>".join(_escape(line) for line in draft.signature)
    signed = f'<br><div dir="ltr" class="gmail_signature">{sign}</div>' if sign else ""
    below = f"<br>{_gmail_thread(draft.thread)}" if draft.thread else ""
    return f'<div dir="ltr">{text}{signed}</div>{below}'


def _gmail_thread(thread: Thread) -> str:
    lead = "<br>".join(_escape(line) for line in thread.lead)
    inner = "<br><br>".join(_escape(part) for part in thread.paragraphs)
    earlier = f"<br>{_gmail_thread(thread.earlier)}" if thread.earlier else ""
    attribution = f'<div dir="ltr" class="gmail_attr">{lead}<br></div>'
    if thread.marked:
        return f'<div class="gmail_quote">{attribution}{_GMAIL_QUOTE}{inner}{earlier}</blockquote></div>'
    return f'<div class="gmail_quote">{attribution}<br>{inner}{earlier}</div>'


def outlook(draft: Draft) -> str:
    lines = "\n".join(_mso(part) + _mso("") for part in draft.paragraphs)
    signed = "".join(_mso(line) for line in draft.signature)
    below = _outlook_thread(draft.thread) if draft.thread else ""
    return f'{_OUTLOOK_HEAD}<body lang="EN-GB"><div class="WordSection1">\n{lines}{signed}{below}\n</div></body></html>'


def _outlook_thread(thread: Thread) -> str:
    # Outlook's HTML draws a rule instead of the "Original Message" line of its plain text.
    heads = "<br>".join(
        re.sub(r"^(.*?): ", r"<b>\1:</b> ", _escape(line)) for line in thread.lead if not line.startswith("-")
    )
    inner = "".join(_mso(part) for part in thread.paragraphs)
    earlier = _outlook_thread(thread.earlier) if thread.earlier else ""
    return f'\n{_OUTLOOK_RULE}<p class="MsoNormal">{heads}</p></div>{_mso("")}{inner}{earlier}'


def _mso(text: str) -> str:
    return f'<p class="MsoNormal">{_escape(text) or "&nbsp;"}<o:p></o:p></p>'


def _escape(text: str) -> str:
    return html.escape(text, quote=False).replace("\n", "<br>")
