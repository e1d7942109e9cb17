"""Opening a bundle folder: any change, and any folder that is no bundle, is refused with one line."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.bundle.bundle import MANIFEST, MANIFEST_BYTES, open_bundle, write_bundle
from models.bundle.manifest import Manifest
from models.errors import BundleError
from models.text.prepare import TEXT_VERSION
from tests.support.plain import draft, files, plain_bundle, refusal

FILES = ("MANIFEST", "tokenizer.json", "golden.jsonl", "model.onnx")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(data=st.data())
def test_any_flipped_bit_is_refused(copied: Path, data: st.DataObject) -> None:
    """In any file; in the manifest only the creation date can change without being noticed."""
    path = copied / data.draw(st.sampled_from(FILES)).replace("MANIFEST", MANIFEST)
    sound = path.read_bytes()
    place, bit = data.draw(st.integers(0, len(sound) - 1)), data.draw(st.integers(0, 7))
    manifest = (copied / MANIFEST).read_bytes()
    path.write_bytes(sound[:place] + bytes([sound[place] ^ (1 << bit)]) + sound[place + 1 :])
    try:
        opened = _refused_or_harmless(copied, manifest)
        assert not opened or path.name == MANIFEST
    finally:
        path.write_bytes(sound)


def test_every_part_of_the_manifest_is_protected(copied: Path) -> None:
    """A bit of every second byte of the manifest in turn: all are refused except in digits of the creation date."""
    path = copied / MANIFEST
    sound = path.read_bytes()
    passed = 0
    for place in range(0, len(sound), 2):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ (1 << place % 5)]) + sound[place + 1 :])
        passed += _refused_or_harmless(copied, sound)
    assert passed <= len("20261122000000")


def _refused_or_harmless(folder: Path, sound_manifest: bytes) -> bool:
    """Whether the bundle opens; it may open only with equal content, except for the creation date."""
    try:
        opened = open_bundle(folder)
    except BundleError:
        return False
    sound = Manifest.model_validate_json(sound_manifest)
    assert opened.manifest.model_copy(update={"created_at": sound.created_at}) == sound
    return True


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(content=st.binary(max_size=200), name=st.sampled_from(FILES))
def test_any_other_content_of_a_file_is_refused(copied: Path, content: bytes, name: str) -> None:
    """With one line."""
    path = copied / name.replace("MANIFEST", MANIFEST)
    sound = path.read_bytes()
    path.write_bytes(content)
    try:
        refusal(copied)
    finally:
        path.write_bytes(sound)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("keep", [0, 1, -1])
def test_a_truncated_file_is_refused(copied: Path, name: str, keep: int) -> None:
    """An incomplete copy is refused, and the file is named."""
    name = name.replace("MANIFEST", MANIFEST)
    sound = (copied / name).read_bytes()
    (copied / name).write_bytes(sound[:keep])
    assert name in refusal(copied)


@pytest.mark.parametrize("name", FILES[1:])
def test_a_longer_file_is_refused(copied: Path, name: str) -> None:
    """Bytes after the end are refused, too."""
    with (copied / name).open("ab") as file:
        file.write(b"x")
    assert name in refusal(copied)


def test_a_changed_document_is_refused(tmp_path: Path) -> None:
    """A document's digest is verified at opening, as that of any file."""
    found = write_bundle(tmp_path, draft(), files() | {"report.html": b"took 3 s"})
    (found / "report.html").write_bytes(b"took 9 s")
    assert "report.html" in refusal(found)


def put_file(folder: Path) -> None:
    (folder / "extra.bin").write_bytes(b"x")


def put_hidden_file(folder: Path) -> None:
    (folder / ".DS_Store").write_bytes(b"x")


def put_folder(folder: Path) -> None:
    (folder / "sub").mkdir()


def put_name_with_escapes(folder: Path) -> None:
    (folder / "x\x1b[31m\nerror: fine").write_bytes(b"x")


@pytest.mark.parametrize("put", [put_file, put_hidden_file, put_folder, put_name_with_escapes])
def test_an_unlisted_file_is_refused(copied: Path, put: Callable[[Path], None]) -> None:
    """A file or folder that the manifest does not list is refused, and its name cannot add a second line to the
    message."""
    put(copied)
    assert "does not list" in refusal(copied)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused(copied: Path, name: str) -> None:
    """The file is named."""
    name = name.replace("MANIFEST", MANIFEST)
    (copied / name).unlink()
    assert name in refusal(copied)


@pytest.mark.parametrize("name", FILES)
def test_a_linked_file_is_refused(copied: Path, tmp_path: Path, name: str) -> None:
    """Even a link to identical bytes is refused: its target could be changed after the digest was checked."""
    name = name.replace("MANIFEST", MANIFEST)
    (copied / name).rename(tmp_path / "elsewhere")
    (copied / name).symlink_to(tmp_path / "elsewhere")
    assert "a link" in refusal(copied)


def test_a_linked_folder_is_followed(plain: Path, tmp_path: Path) -> None:
    """The folder itself may be a link: `current` is one."""
    (tmp_path / "current").symlink_to(plain)
    assert open_bundle(tmp_path / "current").path == plain


@pytest.mark.parametrize("name", ["model.onnx", MANIFEST])
@pytest.mark.timeout(20)
def test_a_pipe_or_folder_in_place_of_a_file_is_refused_at_once(copied: Path, name: str) -> None:
    """Opening a named pipe would block without limit."""
    (copied / name).unlink()
    os.mkfifo(copied / name)
    assert name in refusal(copied)
    (copied / name).unlink()
    (copied / name).mkdir()
    assert name in refusal(copied)


def test_a_huge_manifest_is_not_read(copied: Path) -> None:
    """It is refused by its size before it fills memory."""
    os.truncate(copied / MANIFEST, MANIFEST_BYTES + 1)
    assert "at most" in refusal(copied)


def test_another_text_version_is_refused(tmp_path: Path) -> None:
    """A bundle trained with another text version is refused, with both versions and what to do."""
    message = refusal(plain_bundle(tmp_path, draft(text_version=TEXT_VERSION + 1)))
    assert f"version {TEXT_VERSION + 1}" in message
    assert f"has {TEXT_VERSION}" in message
    assert "retrain" in message


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 100_000, b'{"version": 1e999}'])
def test_a_manifest_of_another_kind_is_refused(copied: Path, content: bytes) -> None:
    """Any other JSON, or none, is refused with one line."""
    (copied / MANIFEST).write_bytes(content)
    refusal(copied)


def test_a_manifest_edited_after_export_is_refused(copied: Path) -> None:
    """A threshold was lowered."""
    text = (copied / MANIFEST).read_text()
    (copied / MANIFEST).write_text(text.replace('"route": 0.9', '"route": 0.1'))
    assert "changed after export" in refusal(copied)


def test_an_invalid_tokenizer_is_refused(tmp_path: Path) -> None:
    """A file with a matching digest that is no tokenizer is refused, and named."""
    found = write_bundle(tmp_path, draft(), files(tokenizer_json=b'{"version":"9"}'))
    assert "tokenizer.json" in refusal(found)


@pytest.mark.parametrize("place", ["nothing", "a file", "an empty folder", "a loop", "a folder of models"])
def test_a_path_that_is_no_bundle_is_refused(tmp_path: Path, place: str) -> None:
    """The message says what to give instead."""
    path = tmp_path / "place"
    if place == "a file":
        path.write_text("x")
    elif place == "a loop":
        path.symlink_to(path)
    elif place != "nothing":
        path.mkdir()
    if place == "a folder of models":
        (path / "config.json").write_text("{}")
    assert refusal(path).startswith(str(path))


def test_a_file_that_changed_after_opening_is_noticed(copied: Path) -> None:
    """`read` checks the digest of all bytes that it returns, at any time after opening."""
    bundle = open_bundle(copied)
    (copied / "model.onnx").write_bytes(bytes(range(255)) + b"\0")
    with pytest.raises(BundleError, match=r"model\.onnx: its digest"):
        bundle.read("model.onnx")
    (copied / "model.onnx").unlink()
    with pytest.raises(BundleError, match="missing"):
        bundle.read("model.onnx")


def test_reading_an_unlisted_file_is_refused(plain: Path) -> None:
    """The file is named."""
    with pytest.raises(BundleError, match=r"has no metrics\.json"):
        open_bundle(plain).read("metrics.json")


def test_a_folder_without_read_permission_is_refused(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the system's reason, in one line."""

    def forbidden(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", forbidden)
    assert "Permission denied" in refusal(copied)
