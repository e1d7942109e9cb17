"""Writing the keys file: a new caller is appended, a known one gets a new key beside the one it has.

As text, so that comments and order stay as their author left them; what comes of it is read again before it is kept.
"""

import contextlib
import os
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from service.access.keys_file import Entry, KeysError, KeysFile, parse_keys, read_content

NEW_FILE_MODE = 0o644
"""As mounted secrets have it: there are digests in it, and the service may run as another user."""
_NO_KEYS = re.compile(r"^([ \t]*sha256[ \t]*=[ \t]*)\[\s*\]", re.MULTILINE)


def spelled(entry: Entry) -> str:
    """An entry as it stands in the file. Its texts are of closed patterns, so none needs escaping."""
    values = {
        "name": f'"{entry.name}"',
        "roles": _array(sorted(entry.roles)),
        "sha256": _array(entry.sha256),
        "tickets_per_second": entry.tickets_per_second,
        "burst": entry.burst,
        "expires": _moment(entry.expires),
    }
    lines = [f"{name} = {value}" for name, value in values.items() if value is not None]
    return "\n".join(["[[keys]]", *lines]) + "\n"


def keep(path: Path, entry: Entry) -> bool:
    """Put an entry with one new digest into the file, which need not be there yet. True: another key of it still works.

    A name that is there keeps its entry and its newest key, if it has one; the key before that stops working.

    Raises:
        KeysError: the file cannot be read or written, or what was asked for is not what stands there.
    """
    path = path.resolve()  # of a link, what it leads to is replaced
    content = read_content(path).decode() if path.exists() else ""
    before = parse_keys(content.encode(), path).keys if content.strip() else ()
    former = next((each for each in before if each.name == entry.name), None)
    if former is None:
        now, text = (*before, entry), f"{content.rstrip()}\n\n{spelled(entry)}".lstrip()
    else:
        _refuse_other_terms(path, former, entry)
        rotated = former.model_copy(update={"sha256": (*entry.sha256, *former.sha256[:1])})
        now = tuple(rotated if each is former else each for each in before)
        text = _with_another_key(content, before, former, entry.sha256[0])
    if parse_keys(text.encode(), path) != KeysFile(keys=now):
        raise KeysError(f"{path}: its layout is too unusual to change it safely; add the entry by hand")
    _write(path, text.encode())
    return former is not None and bool(former.sha256)


def _refuse_other_terms(path: Path, former: Entry, asked: Entry) -> None:
    """A rotation changes the key alone; what is asked for beside it must be what stands there already."""
    for name in asked.model_fields_set - {"name", "sha256"}:
        if getattr(asked, name) != getattr(former, name):
            raise KeysError(f"{path}: {former.name} stands there with other {name}; change that in the file")


def _with_another_key(content: str, before: Sequence[Entry], former: Entry, newest: str) -> str:
    if former.sha256:
        return _rotated(content, former.sha256, newest)
    without = [entry.name for entry in before if not entry.sha256]
    return _given_back(content, without.index(former.name), newest)


def _given_back(content: str, place: int, newest: str) -> str:
    """The digest into this one of the lists that are empty."""
    for number, found in enumerate(_NO_KEYS.finditer(content)):
        if number == place:
            return content[: found.start()] + f'{found[1]}["{newest}"]' + content[found.end() :]
    return content


def _rotated(content: str, former: tuple[str, ...], newest: str) -> str:
    """The new digest before the former newest, and the one before that gone. A digest stands in a file once."""
    kept, *dropped = former
    for digest in dropped:
        content = re.sub(rf"""\s*,\s*(["']){digest}\1""", "", content)
    return re.sub(rf"""(["']){kept}\1""", f'"{newest}", "{kept}"', content)


def _array(values: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{value}"' for value in values) + "]"


def _moment(value: datetime | None) -> str | None:
    return value.isoformat() if value is not None else None


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    mode = path.stat().st_mode & 0o777 if path.exists() else NEW_FILE_MODE
    try:
        with aside.open("xb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        raise KeysError(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
