"""Editing the keys file for `python -m service keys new`: append a new caller, or rotate the key of a known one.

The file is edited as text, so that comments and order stay. The result is parsed and compared before it is written.
"""

import contextlib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from service.access.keys_file import KeyEntry, KeysError, KeysFile, parse_keys, read_content

NEW_FILE_MODE = 0o644
"""The mode of mounted secrets: the file holds only digests, and the service may run as another user."""
_EMPTY_LIST = re.compile(r"^([ \t]*sha256[ \t]*=[ \t]*)\[\s*\]", re.MULTILINE)


def format_entry(entry: KeyEntry) -> str:
    """The entry as TOML. The patterns of its fields exclude characters that need escaping."""
    values = {
        "name": f'"{entry.name}"',
        "roles": _array(sorted(entry.roles)),
        "sha256": _array(entry.sha256),
        "tickets_per_second": entry.tickets_per_second,
        "burst": entry.burst,
        "expires": entry.expires.isoformat() if entry.expires is not None else None,
    }
    lines = [f"{name} = {value}" for name, value in values.items() if value is not None]
    return "\n".join(["[[keys]]", *lines]) + "\n"


def add_key(path: Path, entry: KeyEntry) -> bool:
    """Add an entry with one new digest to the file; create the file if it does not exist.

    If the file has an entry of this name, the new digest is added to that entry: its newest key stays valid, the older
    key is removed.

    Returns:
        Whether the caller has a second valid key.

    Raises:
        KeysError: the file cannot be read or written, or the existing entry differs in more than the key.
    """
    path = path.resolve()  # replace the target of a link, not the link
    content = read_content(path).decode() if path.exists() else ""
    old_entries = parse_keys(content.encode(), path).keys if content.strip() else ()
    existing = next((each for each in old_entries if each.name == entry.name), None)
    if existing is None:
        new_entries, text = (*old_entries, entry), f"{content.rstrip()}\n\n{format_entry(entry)}".lstrip()
    else:
        for name in entry.model_fields_set - {"name", "sha256"}:
            if getattr(entry, name) != getattr(existing, name):
                raise KeysError(f"{path}: the entry of {existing.name} has other {name}; change it in the file")
        rotated = existing.model_copy(update={"sha256": (*entry.sha256, *existing.sha256[:1])})
        new_entries = tuple(rotated if each is existing else each for each in old_entries)
        text = _insert_digest(content, old_entries, existing, entry.sha256[0])
    if parse_keys(text.encode(), path) != KeysFile(keys=new_entries):
        raise KeysError(f"{path}: its layout is too unusual to change it safely; add the entry by hand")
    _write_atomically(path, text.encode())
    return existing is not None and bool(existing.sha256)


def _insert_digest(content: str, entries: Sequence[KeyEntry], existing: KeyEntry, new_digest: str) -> str:
    """The file's text with the new digest in the existing entry."""
    if existing.sha256:
        # Each digest occurs once in the file, so it identifies its entry.
        current, *removed = existing.sha256
        for digest in removed:
            content = re.sub(rf"""\s*,\s*(["']){digest}\1""", "", content)
        return re.sub(rf"""(["']){current}\1""", f'"{new_digest}", "{current}"', content)
    index = [entry.name for entry in entries if not entry.sha256].index(existing.name)
    empty_lists = list(_EMPTY_LIST.finditer(content))
    if index >= len(empty_lists):
        return content
    match = empty_lists[index]
    return content[: match.start()] + f'{match[1]}["{new_digest}"]' + content[match.end() :]


def _array(values: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{value}"' for value in values) + "]"


def _write_atomically(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    mode = path.stat().st_mode & 0o777 if path.exists() else NEW_FILE_MODE
    try:
        with temporary.open("xb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise KeysError(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
