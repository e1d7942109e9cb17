"""The bundle folder, written: whole or not at all, the same inputs under the same version, `current` beside them."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import models.bundle.bundle as bundle_module
from models.bundle.bundle import MANIFEST, Bundle, open_bundle, point_current, write_bundle
from models.errors import BundleError
from models.scoring import Outcome
from tests.support.plain import WORDS, draft, files, logits_of, plain_bundle, words_tokenizer
from tests.support.process import ROOT

DOCUMENT = "report.html"


def test_what_was_written_is_what_is_opened(plain: Path) -> None:
    """A bundle answers with the tokenizer, thresholds and files that were put into it."""
    bundle = open_bundle(plain)
    assert plain.name == bundle.version == bundle.manifest.expected_version()
    assert bundle.read("model.onnx") == bytes(range(256))
    assert bundle.encode("a b").ids == (0, WORDS.index("a"), WORDS.index("b"), 1)
    assert bundle.fp32.judge(logits_of(9, 0, 0, 0, 0)).department.outcome is Outcome.ROUTE
    assert bundle.fp32.entry.file == "model.onnx"
    with pytest.raises(BundleError, match="has no int8 variant, it has: fp32"):
        bundle.graph("int8", ())


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


def test_documents_are_no_part_of_the_version(plain: Path, tmp_path: Path) -> None:
    """A report with other timings is the same bundle: the one that is there is kept, its report too."""
    first = write_bundle(tmp_path, draft(), files() | {DOCUMENT: b"took 3 s"})
    assert first.name == plain.name
    assert write_bundle(tmp_path, draft(), files() | {DOCUMENT: b"took 4 s"}) == first
    assert open_bundle(first).read(DOCUMENT) == b"took 3 s"


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


class PowerCut(BaseException):
    """The machine stopped."""


@pytest.mark.parametrize(("owner", "step"), [(bundle_module, "_put"), (bundle_module, "sync_folder"), (Path, "rename")])
@pytest.mark.parametrize("error", [PowerCut(), OSError(28, "No space left on device")])
def test_a_write_that_breaks_off_leaves_no_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, step: str, error: BaseException
) -> None:
    """Interrupted before the rename, nothing is in the store, and a full disk is one line."""
    calls = 0

    def breaking(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == (3 if step == "_put" else 1):
            raise error
        return original(*arguments)

    original = getattr(owner, step)
    monkeypatch.setattr(owner, step, breaking)
    expected = BundleError if isinstance(error, OSError) else PowerCut
    with pytest.raises(expected) as caught:
        plain_bundle(tmp_path)
    if expected is BundleError:
        assert "No space left on device" in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_a_killed_write_leaves_nothing_that_opens(tmp_path: Path) -> None:
    """Killed outright in the middle, what lies there is hidden, is no bundle, and does not hinder the next write."""
    code = (
        "import os, signal; from pathlib import Path;"
        "from tests.support.plain import plain_bundle;"
        "Path.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL);"
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
