"""The store's history, one JSON line for each move of `current`: the bundle, the time, the user and the reason.

A move and its history line cannot be one write, so the order is: write an intent (`.promotion.json`) with fsync, move
the pointer, append the line. After a crash, the next command completes the intent: if the pointer has moved, the line
is appended; if not, the intent is deleted. So the history contains exactly the moves that happened.
"""

import contextlib
import fcntl
import getpass
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from models.bundle.bundle import point_current
from models.bundle.manifest import Frozen
from models.errors import BundleError, TicketRouterError
from training.export.provenance import code_revision

HISTORY = "promotions.jsonl"
_INTENT = ".promotion.json"


class Gate(Frozen):
    """One condition of a promotion, and its figure. `passed` None: it could not be evaluated."""

    name: str
    passed: bool | None
    figure: str


class Promotion(Frozen):
    """One move of `current`. `forced`: gates failed, and a person moved the pointer anyway."""

    event: Literal["first", "promote", "rollback"]
    at: str
    by: str
    from_version: str | None
    to_version: str
    reason: str | None
    forced: bool
    gates: tuple[Gate, ...]
    code: str


@contextlib.contextmanager
def locked(store: Path) -> Iterator[None]:
    """Hold the store's lock for one promotion at a time; complete an unfinished promotion first.

    Raises:
        TicketRouterError: another promotion is running, or the store cannot be read or written.
    """
    try:
        descriptor = os.open(store, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise TicketRouterError(
            f"{store}: no folder of bundles there ({error.strerror}); name it with --store"
        ) from error
    try:
        try:
            # The lock is on the folder itself: no lock file is left, and the system releases it when a process dies.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"{store}: another promotion or rollback is under way; try again after it"
            raise TicketRouterError(message) from error
        _complete_intent(store)
        yield
    finally:
        os.close(descriptor)


def current_version(store: Path) -> str | None:
    """The version that `current` points to; None: there is no pointer."""
    pointer = store / "current"
    return pointer.resolve().name if pointer.is_symlink() or pointer.exists() else None


def move(
    store: Path,
    to_version: str,
    event: Literal["first", "promote", "rollback"],
    reason: str | None = None,
    gates: Sequence[Gate] = (),
) -> Promotion:
    """Point `current` to a bundle of the store and record the move. The caller holds `locked`.

    Raises:
        TicketRouterError: the bundle is not in the store, or the store cannot be written; the pointer stays.
    """
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # in a container, the user may have a number but no name
        user = f"uid {os.getuid()}"
    promotion = Promotion(
        event=event,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        by=user,
        from_version=current_version(store),
        to_version=to_version,
        reason=reason,
        forced=any(gate.passed is False for gate in gates),
        gates=tuple(gates),
        code=code_revision(),
    )
    try:
        _write_durably(store / _INTENT, promotion.model_dump_json().encode() + b"\n", os.O_TRUNC)
        point_current(store, to_version)
        _complete_intent(store)
    except BundleError:
        _undo(store, promotion)
        raise
    except OSError as error:
        _undo(store, promotion)
        raise TicketRouterError(
            f"{store}: the promotion cannot be put on record ({error.strerror}); nothing was moved"
        ) from error
    return promotion


def make_first(store: Path, version: str) -> None:
    """Make the first bundle of a store current, and record it.

    Raises:
        TicketRouterError: as in `locked` and `move`.
    """
    with locked(store):
        move(store, version, "first", "the first bundle of this store")


def history(store: Path) -> tuple[Promotion, ...]:
    """All recorded moves, oldest first.

    Raises:
        TicketRouterError: the file is unreadable or has an invalid line.
    """
    path = store / HISTORY
    try:
        lines = path.read_bytes().splitlines() if path.exists() else []
    except OSError as error:
        raise TicketRouterError(f"{path}: cannot be read ({error.strerror})") from error
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(Promotion.model_validate_json(line))
        except ValidationError as error:
            raise TicketRouterError(f"{path}: line {number} is no record of a promotion; mend or remove it") from error
    return tuple(found)


def previous_version(store: Path) -> str | None:
    """The version that served before the current one: a first rollback undoes the last promotion, a second one the
    promotion before it.

    Raises:
        TicketRouterError: as in `history`.
    """
    served: list[str] = []
    for each in history(store):
        if each.event == "rollback" and each.to_version in served:
            del served[served.index(each.to_version) :]
        elif not served and each.from_version:
            served.append(each.from_version)
        served.append(each.to_version)
    current = current_version(store)
    return next((version for version in reversed(served) if version != current), None)


def _complete_intent(store: Path) -> None:
    """Complete an intent: if the pointer moved, append the history line; then delete the intent."""
    intent, path = store / _INTENT, store / HISTORY
    try:
        line = intent.read_bytes()
        promotion = Promotion.model_validate_json(line)
    except FileNotFoundError:
        return
    except ValidationError:  # half written: the pointer has not moved, because the intent is written first
        intent.unlink()
        return
    if current_version(store) == promotion.to_version:
        _append(path, line)
    intent.unlink()


def _undo(store: Path, promotion: Promotion) -> None:
    """Undo a move that cannot be recorded: the disk is full, and undoing needs no space.

    The order of the steps lets `_complete_intent` finish an interrupted undo. If undoing fails, the intent stays.
    """
    with contextlib.suppress(OSError, BundleError):
        _drop_half_line(store / HISTORY)
        if current_version(store) == promotion.to_version:
            if promotion.from_version is None:
                (store / "current").unlink()
            else:
                point_current(store, promotion.from_version)
        (store / _INTENT).unlink()


def _append(path: Path, line: bytes) -> None:
    """Append the line, unless it is already there: a crash may come between appending it and deleting its intent."""
    if not _drop_half_line(path).endswith(line):
        _write_durably(path, line, os.O_APPEND)


def _drop_half_line(path: Path) -> bytes:
    """The file without an incomplete last line (from a crash or a full disk); the pending intent still holds that
    line."""
    there = path.read_bytes() if path.exists() else b""
    whole = there[: there.rfind(b"\n") + 1]
    if len(whole) < len(there):
        os.truncate(path, len(whole))
    return whole


def _write_durably(path: Path, content: bytes, mode: int) -> None:
    """Write or append with fsync of the file and of its folder, so that a power cut loses neither."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | mode, 0o644)
    with os.fdopen(descriptor, "ab" if mode == os.O_APPEND else "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
