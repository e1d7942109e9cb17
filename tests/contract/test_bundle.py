"""The bundle folder: written whole or not at all, and refused with one line when anything in it was touched."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import models.bundle as bundle_module
from models.bundle import MANIFEST, MANIFEST_BYTES, Bundle, open_bundle, point_current, write_bundle
from models.errors import BundleError
from models.manifest import Manifest
from models.scoring import Outcome
from models.text import TEXT_VERSION
from tests.support.plain import WORDS, draft, files, logits_of, plain_bundle, words_tokenizer
from tests.support.process import ROOT

FILES = ("MANIFEST", "tokenizer.json", "golden.jsonl", "model.onnx")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound bundle; tests leave it as they found it."""
    return plain_bundle(tmp_path_factory.mktemp("plain"))


@pytest.fixture
def copied(plain: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(plain, tmp_path / plain.name))


def refusal(path: Path) -> str:
    """The one line a bundle is refused with."""
    with pytest.raises(BundleError) as caught:
        open_bundle(path)
    message = str(caught.value)
    assert message.isprintable(), "one line, and nothing a terminal would act on"
    return message


def resealed(folder: Path, **changes: Any) -> Path:
    """Change the manifest as someone would who knows how the version id is made."""
    content = json.loads((folder / MANIFEST).read_text()) | changes
    body = {key: value for key, value in content.items() if key not in ("version", "created_at")}
    deciding = {"tokenizer.json", "golden.jsonl", *(model["file"] for model in body["models"] or ())}
    body["files"] = {name: entry for name, entry in body["files"].items() if name in deciding}
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    content["version"] = hashlib.sha256(canonical.encode()).hexdigest()[:16]
    (folder / MANIFEST).write_text(json.dumps(content))
    return folder


def test_what_was_written_is_what_is_opened(plain: Path) -> None:
    """A bundle answers with the tokenizer, thresholds and files that were put into it."""
    bundle = open_bundle(plain)
    assert plain.name == bundle.version == bundle.manifest.expected_version()
    assert bundle.read("model.onnx") == bytes(range(256))
    assert bundle.encode("a b").ids == (0, WORDS.index("a"), WORDS.index("b"), 1)
    assert bundle.judge(logits_of(9, 0, 0, 0, 0)).department.outcome is Outcome.ROUTE
    assert bundle.model("fp32").file == "model.onnx"
    with pytest.raises(BundleError, match="has no int8 variant, it has: fp32"):
        bundle.model("int8")


def test_files_can_be_copied_from_elsewhere(tmp_path: Path) -> None:
    """A file given as a path is copied, and the original stays."""
    graph = tmp_path / "graph"
    graph.write_bytes(bytes(range(256)))
    found = write_bundle(tmp_path / "store", draft(), files() | {"model.onnx": graph})
    assert found.name == plain_bundle(tmp_path / "other").name
    assert graph.exists()


def test_the_same_inputs_give_the_same_version(plain: Path, tmp_path: Path) -> None:
    """Written on another day in another order, it is the same bundle; with another byte it is another."""
    reordered = dict(reversed(files().items()))
    assert write_bundle(tmp_path, draft(created_at="2031-05-05T00:00:00Z"), reordered).name == plain.name
    assert write_bundle(tmp_path, draft(), files(model_onnx=b"other")).name != plain.name
    assert len(os.listdir(tmp_path)) == 2


DOCUMENT = "report.html"


def test_documents_are_no_part_of_the_version(plain: Path, tmp_path: Path) -> None:
    """A report with other timings is the same bundle: the one that is there is kept, its report too."""
    first = write_bundle(tmp_path, draft(), files() | {DOCUMENT: b"took 3 s"})
    assert first.name == plain.name
    assert write_bundle(tmp_path, draft(), files() | {DOCUMENT: b"took 4 s"}) == first
    assert open_bundle(first).read(DOCUMENT) == b"took 3 s"


def test_a_changed_document_is_refused(tmp_path: Path) -> None:
    """A document's digest is verified at opening like any file's."""
    found = write_bundle(tmp_path, draft(), files() | {DOCUMENT: b"took 3 s"})
    (found / DOCUMENT).write_bytes(b"took 9 s")
    assert DOCUMENT in refusal(found)


def test_a_bundle_that_is_there_is_kept(tmp_path: Path) -> None:
    """Writing the same bundle again changes nothing in the store."""
    first = plain_bundle(tmp_path)
    before = (first / MANIFEST).stat()
    assert plain_bundle(tmp_path, draft(created_at="2031-05-05T00:00:00Z")) == first
    assert (first / MANIFEST).stat() == before
    assert os.listdir(tmp_path) == [first.name]


def test_a_damaged_bundle_is_not_taken_for_the_new_one(tmp_path: Path) -> None:
    """Writing over a damaged bundle of the same version says so instead of keeping quiet."""
    (plain_bundle(tmp_path) / "model.onnx").write_bytes(b"gone")
    with pytest.raises(BundleError, match=r"model\.onnx"):
        plain_bundle(tmp_path)


def test_another_user_may_read_a_bundle(plain: Path) -> None:
    """The service's user is not the trainer's: folder and files are readable by others, writable by none of them."""
    assert plain.stat().st_mode & 0o777 == 0o755
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in plain.iterdir())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(data=st.data())
def test_any_flipped_bit_is_refused(copied: Path, data: st.DataObject) -> None:
    """One bit flipped in any file is refused; in the manifest, only its creation date could change unseen."""
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


def test_the_whole_manifest_is_guarded(copied: Path) -> None:
    """A bit of every second byte of the manifest in turn: all are refused but digits of the creation date."""
    path = copied / MANIFEST
    sound = path.read_bytes()
    passed = 0
    for place in range(0, len(sound), 2):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ (1 << place % 5)]) + sound[place + 1 :])
        passed += _refused_or_harmless(copied, sound)
    assert passed <= len("20261122000000")


def _refused_or_harmless(folder: Path, sound_manifest: bytes) -> bool:
    """Whether the bundle opens; it may only where it says the same, its creation date apart."""
    try:
        opened = open_bundle(folder)
    except BundleError:
        return False
    sound = Manifest.model_validate_json(sound_manifest)
    assert opened.manifest.model_copy(update={"created_at": sound.created_at}) == sound
    return True


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(content=st.binary(max_size=200), name=st.sampled_from(FILES))
def test_any_other_content_is_refused(copied: Path, content: bytes, name: str) -> None:
    """Whatever bytes stand in a file's place are refused with one line."""
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
    """A copy that broke off is refused by the name of the file."""
    name = name.replace("MANIFEST", MANIFEST)
    sound = (copied / name).read_bytes()
    (copied / name).write_bytes(sound[:keep])
    assert name in refusal(copied)


@pytest.mark.parametrize("name", FILES[1:])
def test_a_longer_file_is_refused(copied: Path, name: str) -> None:
    """Bytes behind the end are refused, too."""
    with (copied / name).open("ab") as file:
        file.write(b"x")
    assert name in refusal(copied)


def put_file(folder: Path) -> None:
    (folder / "extra.bin").write_bytes(b"x")


def put_hidden_file(folder: Path) -> None:
    (folder / ".DS_Store").write_bytes(b"x")


def put_folder(folder: Path) -> None:
    (folder / "sub").mkdir()


def put_name_with_escapes(folder: Path) -> None:
    (folder / "x\x1b[31m\nerror: fine").write_bytes(b"x")


@pytest.mark.parametrize("put", [put_file, put_hidden_file, put_folder, put_name_with_escapes])
def test_what_the_manifest_does_not_list_is_refused(copied: Path, put: Callable[[Path], None]) -> None:
    """A file or folder that nobody vouches for is refused, and its name cannot fake a second line."""
    put(copied)
    assert "does not list" in refusal(copied)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused(copied: Path, name: str) -> None:
    """A bundle that lost a file is refused by the name of the file."""
    name = name.replace("MANIFEST", MANIFEST)
    (copied / name).unlink()
    assert name in refusal(copied)


@pytest.mark.parametrize("name", FILES)
def test_a_linked_file_is_refused(copied: Path, tmp_path: Path, name: str) -> None:
    """A link, even to the very same bytes, is refused: what it points at could be changed behind the digest."""
    name = name.replace("MANIFEST", MANIFEST)
    (copied / name).rename(tmp_path / "elsewhere")
    (copied / name).symlink_to(tmp_path / "elsewhere")
    assert "a link" in refusal(copied)


def test_a_linked_folder_is_followed(plain: Path, tmp_path: Path) -> None:
    """The folder itself may be a link: that is what `current` is."""
    (tmp_path / "current").symlink_to(plain)
    assert open_bundle(tmp_path / "current").path == plain


@pytest.mark.parametrize("name", ["model.onnx", MANIFEST])
@pytest.mark.timeout(20)
def test_a_pipe_or_folder_in_a_files_place_is_refused_at_once(copied: Path, name: str) -> None:
    """Opening a named pipe would wait for ever: it is refused, as is a folder."""
    (copied / name).unlink()
    os.mkfifo(copied / name)
    assert name in refusal(copied)
    (copied / name).unlink()
    (copied / name).mkdir()
    assert name in refusal(copied)


def test_a_huge_manifest_is_not_read(copied: Path) -> None:
    """A manifest put there to fill the memory is refused by its size."""
    os.truncate(copied / MANIFEST, MANIFEST_BYTES + 1)
    assert "at most" in refusal(copied)


def test_another_text_version_is_refused(tmp_path: Path) -> None:
    """A bundle trained on another cleaning is refused, with both versions and what to do."""
    message = refusal(plain_bundle(tmp_path, draft(text_version=TEXT_VERSION + 1)))
    assert f"version {TEXT_VERSION + 1}" in message
    assert f"has {TEXT_VERSION}" in message
    assert "retrain" in message


def test_another_schema_version_is_refused(copied: Path) -> None:
    """A bundle of a later release is refused with the place, not with a traceback."""
    assert "schema_version" in refusal(resealed(copied, schema_version=2))


@pytest.mark.parametrize("name", ["../golden.jsonl", "/etc/hostname", "sub/../model.onnx", "..", "a\x00b", "a\nb", ""])
def test_a_name_that_leaves_the_folder_is_refused(copied: Path, name: str) -> None:
    """A manifest that names a file elsewhere is refused before anything there is touched, however well it is sealed."""
    listed = json.loads((copied / MANIFEST).read_text())["files"]
    assert "damaged or from another release" in refusal(resealed(copied, files={**listed, name: listed["model.onnx"]}))


@pytest.mark.parametrize(
    "changes",
    [
        {"fields": []},
        {"fields": draft()["fields"] + draft()["fields"][1:]},
        {"models": draft()["models"] * 2},
        {"encoder": None},
        {"provenance": [1]},
        {"files": {}},
    ],
)
def test_a_well_sealed_manifest_that_makes_no_sense_is_refused(copied: Path, changes: dict[str, Any]) -> None:
    """A manifest whose digest agrees but whose content cannot serve is refused with one line."""
    refusal(resealed(copied, **changes))


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 100_000, b'{"version": 1e999}'])
def test_a_manifest_of_another_kind_is_refused(copied: Path, content: bytes) -> None:
    """Any other JSON, or none, is refused with one line."""
    (copied / MANIFEST).write_bytes(content)
    refusal(copied)


def test_a_manifest_changed_after_export_is_refused(copied: Path) -> None:
    """A threshold lowered by hand is noticed."""
    text = (copied / MANIFEST).read_text()
    (copied / MANIFEST).write_text(text.replace('"route": 0.9', '"route": 0.1'))
    assert "changed after export" in refusal(copied)


def test_a_tokenizer_nobody_can_read_is_refused(tmp_path: Path) -> None:
    """A file whose digest agrees but that is no tokenizer is refused by its name."""
    found = write_bundle(tmp_path, draft(), files(tokenizer_json=b'{"version":"9"}'))
    assert "tokenizer.json" in refusal(found)


@pytest.mark.parametrize("place", ["nothing", "a file", "an empty folder", "a loop", "a folder of models"])
def test_a_foreign_place_is_refused(tmp_path: Path, place: str) -> None:
    """What is no bundle is refused with what to give instead."""
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
    """`read` holds every byte it hands out against the digest, long after opening."""
    bundle = open_bundle(copied)
    (copied / "model.onnx").write_bytes(bytes(range(255)) + b"\0")
    with pytest.raises(BundleError, match=r"model\.onnx: its digest"):
        bundle.read("model.onnx")
    (copied / "model.onnx").unlink()
    with pytest.raises(BundleError, match="missing"):
        bundle.read("model.onnx")


def test_a_file_the_bundle_does_not_have_cannot_be_read(plain: Path) -> None:
    """Asking for a file that is not listed is refused by name."""
    with pytest.raises(BundleError, match=r"has no metrics\.json"):
        open_bundle(plain).read("metrics.json")


class PowerCut(BaseException):
    """The machine stopped."""


@pytest.mark.parametrize("step", ["_put", "_sync_folder", "_install"])
@pytest.mark.parametrize("error", [PowerCut(), OSError(28, "No space left on device")])
def test_a_write_that_breaks_off_leaves_no_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    """Interrupted before the rename, nothing is in the store, and a full disk is one line."""
    calls = 0

    def breaking(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == (3 if step == "_put" else 1):
            raise error
        return original(*arguments)

    original = getattr(bundle_module, step)
    monkeypatch.setattr(bundle_module, step, breaking)
    expected = BundleError if isinstance(error, OSError) else PowerCut
    with pytest.raises(expected) as caught:
        plain_bundle(tmp_path)
    if expected is BundleError:
        assert "No space left on device" in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_a_killed_write_leaves_nothing_that_opens(tmp_path: Path) -> None:
    """Killed outright in the middle, what lies there is hidden, is no bundle, and does not hinder the next write."""
    code = (
        "import os, signal, models.bundle as b; from pathlib import Path; from tests.support.plain import plain_bundle;"
        "b._install = lambda *_: os.kill(os.getpid(), signal.SIGKILL);"
        f"plain_bundle(Path({str(tmp_path)!r}))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60)
    assert run.returncode == -9
    assert [name for name in os.listdir(tmp_path) if not name.startswith(".")] == []
    open_bundle(plain_bundle(tmp_path))


def test_two_writers_of_one_bundle_both_succeed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When another run installs the same bundle first, ours is verified against it and kept as theirs."""
    original = Path.rename

    def late(self: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", original)
        plain_bundle(tmp_path)
        return original(self, target)

    monkeypatch.setattr(Path, "rename", late)
    found = plain_bundle(tmp_path)
    assert os.listdir(tmp_path) == [found.name]
    open_bundle(found)


def test_a_folder_that_may_not_be_read_is_one_line(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle of another user's is refused with the system's own reason."""

    def forbidden(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", forbidden)
    assert "Permission denied" in refusal(copied)


@pytest.mark.parametrize("place", ["file", "file/store"])
def test_a_store_that_cannot_be_written_is_one_line(tmp_path: Path, place: str) -> None:
    """A file in the store's place is refused with what to do."""
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BundleError, match="cannot write a bundle there"):
        plain_bundle(tmp_path / place)
    assert (tmp_path / "file").read_text() == "mine"


def test_current_moves_from_one_bundle_to_the_next(tmp_path: Path) -> None:
    """`current` opens as the bundle it was pointed at last, by a relative link, so that the store can be moved."""
    first, second = plain_bundle(tmp_path), plain_bundle(tmp_path, draft(base_model="other"))
    for folder in (first, second, second, first):
        point_current(tmp_path, folder.name)
        assert open_bundle(tmp_path / "current").version == folder.name
    assert os.readlink(tmp_path / "current") == first.name
    assert sorted(os.listdir(tmp_path)) == sorted([first.name, second.name, "current"])


def test_current_is_never_missing_while_it_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pointer is renamed into place: just before and just after, a reader finds a whole bundle."""
    first, second = plain_bundle(tmp_path), plain_bundle(tmp_path, draft(base_model="other"))
    point_current(tmp_path, first.name)
    seen = []
    original = Path.replace

    def watched(self: Path, target: Path) -> Path:
        seen.append(open_bundle(tmp_path / "current").version)
        result = original(self, target)
        seen.append(open_bundle(tmp_path / "current").version)
        return result

    monkeypatch.setattr(Path, "replace", watched)
    point_current(tmp_path, second.name)
    assert seen == [first.name, second.name]


def test_current_cannot_point_at_what_is_not_there(tmp_path: Path) -> None:
    """A version that is not in the store is refused, and the old pointer stays."""
    first = plain_bundle(tmp_path)
    point_current(tmp_path, first.name)
    with pytest.raises(BundleError, match="no bundle 0000000000000000"):
        point_current(tmp_path, "0" * 16)
    assert open_bundle(tmp_path / "current").version == first.name


def test_a_folder_named_current_is_not_replaced(tmp_path: Path) -> None:
    """Somebody's own folder in the pointer's place is left alone, with one line and no leftover."""
    first = plain_bundle(tmp_path)
    (tmp_path / "current").mkdir()
    with pytest.raises(BundleError, match="cannot be moved"):
        point_current(tmp_path, first.name)
    assert sorted(os.listdir(tmp_path)) == sorted([first.name, "current"])


def test_a_bundle_is_a_value(plain: Path) -> None:
    """Two openings of one folder have one version and equal manifests."""
    first, second = open_bundle(plain), open_bundle(plain)
    assert isinstance(first, Bundle)
    assert (first.version, first.manifest) == (second.version, second.manifest)
    assert words_tokenizer() == first.read("tokenizer.json")
