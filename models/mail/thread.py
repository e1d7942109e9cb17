"""Which thread a message belongs to: a digest of the id of the thread's first message.

The ids are the senders' text: only the first of them is read, up to ID_CHARACTERS, and only its digest is kept.
"""

import hashlib
import re

THREAD_FIELDS = ("references", "in-reply-to", "message-id")
"""The header fields that name the first message, the best one first (RFC 5322, section 3.6.4)."""
ID_CHARACTERS = 500
_READ_CHARACTERS = 2_000
_ID = re.compile(rf"<\s*+([^<>\s]{{1,{ID_CHARACTERS}}})")


def thread_of(values: dict[str, str]) -> str | None:
    """`values`: of THREAD_FIELDS, those that there are. None: none has an id."""
    for name in THREAD_FIELDS:
        found = _ID.search(values.get(name, "")[:_READ_CHARACTERS])
        if found is not None:
            return hashlib.blake2b(found[1].encode(errors="surrogatepass"), digest_size=32).hexdigest()
    return None
