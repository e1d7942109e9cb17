"""Damage to a bundle's folder, as disks, copies and manual edits cause it. Each entry damages a copy in place.

`mutations.py` runs the entries by the thousand, `test_bundles.py` some of each. No entry recomputes the version id;
those that do are in `forgeries.py`.
"""

import contextlib
import json
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

from models.bundle.bundle import MANIFEST
from tests.support.sealing import manifest_of, spell

Spoil = Callable[[Path, Random], None]


def _any_file(folder: Path, random: Random) -> Path:
    return random.choice(sorted(folder.iterdir()))


def flip_bit(folder: Path, random: Random) -> None:
    path = _any_file(folder, random)
    flip(path, random)


def flip(path: Path, random: Random) -> None:
    content = bytearray(path.read_bytes())
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    path.write_bytes(content)


def flip_bits(folder: Path, random: Random) -> None:
    path = _any_file(folder, random)
    content = bytearray(path.read_bytes())
    # three different bytes, so that no flip undoes another
    for place in random.sample(range(len(content)), 3):
        content[place] ^= random.randrange(1, 256)
    path.write_bytes(content)


def truncate(folder: Path, random: Random) -> None:
    path = _any_file(folder, random)
    os.truncate(path, random.randrange(path.stat().st_size))


def append(folder: Path, random: Random) -> None:
    with _any_file(folder, random).open("ab") as file:
        file.write(random.choice([b"\0", b"\n", b"{}", random.randbytes(random.randrange(1, 5000))]))


def insert_block(folder: Path, random: Random) -> None:
    path = _any_file(folder, random)
    content, block = path.read_bytes(), random.randbytes(512)
    place = random.randrange(len(content))
    path.write_bytes(content[:place] + block + content[place:])


def zero_block(folder: Path, random: Random) -> None:
    """A disk block that was never written."""
    path = _any_file(folder, random)
    content = path.read_bytes()
    start = random.randrange(0, len(content), 512)
    if any(content[start : start + 512]):
        path.write_bytes(content[:start] + bytes(len(content[start : start + 512])) + content[start + 512 :])
    else:
        flip(path, random)


def swap_files(folder: Path, random: Random) -> None:
    first, second = random.sample(sorted(folder.iterdir()), 2)
    contents = first.read_bytes(), second.read_bytes()
    second.write_bytes(contents[0])
    first.write_bytes(contents[1])


def lose_file(folder: Path, random: Random) -> None:
    _any_file(folder, random).unlink()


def grow_without_end(folder: Path, random: Random) -> None:
    """A sparse terabyte: reading it would take a day, or all memory."""
    os.truncate(_any_file(folder, random), 2**40)


def other_kind(folder: Path, random: Random) -> None:
    """Something else in place of a file: reading it succeeds, blocks, or leads outside the folder."""
    path = _any_file(folder, random)
    sound = path.rename(folder.parent / "sound")
    kinds: list[Callable[[], Any]] = [
        path.mkdir,
        lambda: os.mkfifo(path),
        lambda: path.symlink_to(sound),
        lambda: path.symlink_to("/dev/zero"),
        lambda: path.symlink_to(path.name),
        lambda: path.hardlink_to(random.choice(sorted(folder.iterdir()))),
        lambda: _listen(path),
        lambda: _device(path),
    ]
    random.choice(kinds)()


def _listen(path: Path) -> None:
    # a socket's path must be short, so bind it from inside the folder
    with socket.socket(socket.AF_UNIX) as listener, contextlib.chdir(path.parent):
        listener.bind(path.name)


def _device(path: Path) -> None:
    try:
        os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))
    except PermissionError:  # only root can create devices
        path.symlink_to("/dev/zero")


def put_stray(folder: Path, random: Random) -> None:
    name = random.choice(
        ["model.onnx.data", ".hidden", "weights.bin", "model.pkl", "__init__.py", "MANIFEST.json", "a\nb"]
    )
    random.choice([Path.touch, Path.mkdir, os.mkfifo])(folder / name)


def edit_manifest(folder: Path, random: Random) -> None:
    """A manual edit: valid JSON of the right shape and spelling with other values than training wrote."""
    content = manifest_of(folder)
    random.choice(_EDITS)(content, random)
    spell(folder, content)


def _threshold(content: dict[str, Any], random: Random) -> None:
    label = random.choice(random.choice(content["models"][0]["fields"])["labels"])
    label[random.choice(["route", "suggest"])] = random.choice([None, 0.0, 0.123, 1.0, 2.0, -1.0])


def _labels_out_of_order(content: dict[str, Any], random: Random) -> None:
    random.choice(content["models"][0]["fields"])["labels"].reverse()


def _rename_label(content: dict[str, Any], random: Random) -> None:
    random.choice(random.choice(content["models"][0]["fields"])["labels"])["name"] = "elsewhere"


def _temperature(content: dict[str, Any], random: Random) -> None:
    random.choice(content["models"][0]["fields"])["temperature"] = random.choice([0.5, 2.5, 0.0, 1e9])


def _version(content: dict[str, Any], random: Random) -> None:
    content["version"] = f"{random.randrange(16**16):016x}"


def _number(content: dict[str, Any], random: Random) -> None:
    place = random.choice(["schema_version", "text_version", "golden_rows"])
    content[place] += random.choice([-1, 1, 10**6, 10**400])


def _size(content: dict[str, Any], random: Random) -> None:
    entry = random.choice(list(content["files"].values()))
    entry["size"] += random.choice([-1, 1, 2**31, 2**70])


def _digest(content: dict[str, Any], random: Random) -> None:
    random.choice(list(content["files"].values()))["sha256"] = f"{random.randrange(16**64):064x}"


def _name(content: dict[str, Any], random: Random) -> None:
    listed = content["files"]
    name = random.choice(
        ["../golden.jsonl", "/etc/passwd", "a/../model.onnx", "", ".", "x" * 5000, "model.pkl", "a\0.json"]
    )
    listed[name] = listed["model.onnx"]


def _unlist(content: dict[str, Any], random: Random) -> None:
    del content["files"][random.choice(list(content["files"]))]


def _unknown_entry(content: dict[str, Any], random: Random) -> None:
    random.choice([content, content["encoder"], content["models"][0]["fields"][0], content["models"][0]])["run"] = (
        "rm -rf /"
    )


def _lose_entry(content: dict[str, Any], random: Random) -> None:
    del content[random.choice(list(content))]


_EDITS = (
    _threshold,
    _labels_out_of_order,
    _rename_label,
    _temperature,
    _version,
    _number,
    _size,
    _digest,
    _name,
    _unlist,
    _unknown_entry,
    _lose_entry,
)


def respell_manifest(folder: Path, random: Random) -> None:
    """JSON on which parsers disagree or fail."""
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_bytes(random.choice(_SPELLINGS)(text))


_SPELLINGS: tuple[Callable[[str], bytes], ...] = (
    lambda text: text.replace('"version":', '"version": "0000000000000000",\n "version":', 1).encode(),
    lambda text: text.replace('"route":', '"route": 0.0, "route":', 1).encode(),
    lambda text: text.replace('"temperature": ', '"temperature": NaN, "was": ', 1).encode(),
    lambda text: text.replace('"route": ', '"route": NaN, "was": ', 1).encode(),
    lambda text: text.replace('"temperature": ', '"temperature": -Infinity, "was": ', 1).encode(),
    lambda text: text.replace('"temperature": ', '"temperature": 1e999, "was": ', 1).encode(),
    lambda text: text.replace('"provenance": {', '"provenance": {"a": ' + "[" * 10**5 + "]" * 10**5 + ", ", 1).encode(),
    lambda text: text.replace('"provenance": {', '"provenance": {"a": ' + "9" * 10**5 + ", ", 1).encode(),
    lambda text: text.replace('"provenance": {', '"provenance": {"a": "\\ud800", ', 1).encode(),
    lambda text: text.replace('"files": {', '"files": {"' + "x" * 10**6 + '.json": 1, ', 1).encode(),
    lambda text: json.dumps(json.loads(text)).encode(),
    lambda text: json.dumps(json.loads(text), indent=1, sort_keys=True).encode(),
    lambda text: text.encode("utf-16"),
    lambda text: b"\xef\xbb\xbf" + text.encode(),
    lambda text: text.replace("\n", "\r\n").encode(),
    lambda text: text.encode() + b"{}",
    lambda text: b"[" + text.encode() + b"]",
    lambda text: b"\x80\x04" + text.encode(),
)

DAMAGE: Mapping[str, Spoil] = {
    "one bit flipped": flip_bit,
    "three bytes changed": flip_bits,
    "truncated": truncate,
    "longer": append,
    "a block put in": insert_block,
    "a block of zeros": zero_block,
    "two files swapped": swap_files,
    "a file lost": lose_file,
    "a terabyte": grow_without_end,
    "no regular file": other_kind,
    "a stray": put_stray,
    "manifest edited": edit_manifest,
    "manifest respelled": respell_manifest,
}
