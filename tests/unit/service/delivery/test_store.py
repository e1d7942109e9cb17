"""Deliveries into a folder: complete or not at all, once, and one at a time."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.bundle.bundle import SIGNATURE, open_bundle
from service.delivery.download import DeliveryError
from service.delivery.store import lock_store
from tests.support.delivery import deliver, digest_of, packed
from tests.support.plain import draft, plain_bundle
from tests.support.sealing import as_first_schema
from tests.support.signing import new_signer

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts file systems")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return plain_bundle(tmp_path / "made")


@pytest.fixture
def archive(bundle: Path, tmp_path: Path) -> Path:
    return packed(bundle, tmp_path / "bundle.tar.gz")


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def visible(folder: Path) -> set[str]:
    """The visible content of the folder; no working files remain."""
    assert not (folder / ".fetch" / "work").exists()
    return {path.name for path in folder.iterdir()} - {".fetch"}


def test_a_delivered_bundle_is_current(archive: Path, bundle: Path, tmp_path: Path) -> None:
    """It is in the folder of its version, `current` points at it by a relative link, and it opens."""
    to = tmp_path / "new" / "bundles"
    delivered = deliver(archive, digest_of(archive), to)
    assert visible(to) == {bundle.name, "current"}
    assert os.readlink(to / "current") == bundle.name
    assert open_bundle(to / "current").version == delivered.version == bundle.name


def test_a_second_delivery_needs_no_source(archive: Path, tmp_path: Path) -> None:
    """A valid bundle is kept: the pod starts even if the store is down."""
    to, digest = tmp_path / "bundles", digest_of(archive)
    first = deliver(archive, digest, to)
    stamp = (to / first.version).stat().st_mtime_ns
    archive.unlink()
    (to / "current").unlink()
    assert deliver(archive, digest, to).version == first.version
    assert (to / first.version).stat().st_mtime_ns == stamp
    assert os.readlink(to / "current") == first.version


def test_the_same_bundle_in_another_archive_is_kept(archive: Path, bundle: Path, tmp_path: Path) -> None:
    """Its folder may be in use; the digest of the second archive is recorded."""
    to, other = tmp_path / "bundles", packed(bundle, tmp_path / "bundle.tar")
    first = deliver(archive, digest_of(archive), to)
    stamp = (to / first.version).stat().st_ino
    assert deliver(other, digest_of(other), to).version == first.version
    assert (to / first.version).stat().st_ino == stamp


@pytest.mark.parametrize("damage", ["changed", "missing", "stray"])
def test_a_damaged_bundle_is_fetched_again(archive: Path, tmp_path: Path, damage: str) -> None:
    """The folder may have changed since its delivery."""
    to, digest = tmp_path / "bundles", digest_of(archive)
    version = deliver(archive, digest, to).version
    graph = to / version / "model.onnx"
    if damage == "changed":
        graph.write_bytes(graph.read_bytes()[::-1])
    elif damage == "missing":
        graph.unlink()
    else:
        graph.with_name("stray").touch()
    assert deliver(archive, digest, to).version == version
    assert open_bundle(to / "current").version == version
    assert visible(to) == {version, "current"}


@pytest.mark.parametrize("kind", ["signed", "unsigned", "signed anew"])
def test_a_bundle_that_was_signed_later_gets_its_signature(
    archive: Path, bundle: Path, tmp_path: Path, kind: str
) -> None:
    """Its folder stays, because it may be in use; a later archive without a signature does not remove it."""
    to, signer = tmp_path / "bundles", new_signer(tmp_path)
    deliver(archive, digest_of(archive), to)
    stamp = (to / "current").stat().st_ino
    signed = packed(signer.sign(bundle), tmp_path / "signed.tar")
    version = deliver(signed, digest_of(signed), to).version
    if kind == "unsigned":
        (bundle / SIGNATURE).unlink()
        again = packed(bundle, tmp_path / "again.tar")
        deliver(again, digest_of(again), to)
    elif kind == "signed anew":
        signer = new_signer(tmp_path, "other")
        again = packed(signer.sign(bundle), tmp_path / "again.tar")
        deliver(again, digest_of(again), to)
    assert open_bundle(to / "current", signer.public).version == version
    assert (to / "current").stat().st_ino == stamp
    assert visible(to) == {version, "current"}


def test_the_signature_of_another_manifest_is_not_taken(archive: Path, bundle: Path, tmp_path: Path) -> None:
    """The same version made on another day has another manifest and another signature."""
    to, signer = tmp_path / "bundles", new_signer(tmp_path)
    deliver(archive, digest_of(archive), to)
    later = signer.sign(plain_bundle(tmp_path / "later", draft(created_at="2027-01-01T00:00:00Z")))
    assert later.name == bundle.name
    signed = packed(later, tmp_path / "signed.tar")
    deliver(signed, digest_of(signed), to)
    assert not (to / "current" / SIGNATURE).exists()
    assert open_bundle(to / "current").version == bundle.name


def test_the_next_bundle_becomes_current_and_the_previous_stays(archive: Path, tmp_path: Path) -> None:
    """A service that reads the previous bundle is not affected; a second delivery of it makes it current again."""
    to = tmp_path / "bundles"
    other = packed(plain_bundle(tmp_path / "made", draft(base_model="other")), tmp_path / "other.tar")
    first = deliver(archive, digest_of(archive), to)
    second = deliver(other, digest_of(other), to)
    assert visible(to) == {first.version, second.version, "current"}
    assert open_bundle(to / "current").version == second.version
    deliver(archive, digest_of(archive), to)
    assert open_bundle(to / "current").version == first.version


def test_a_wrong_digest_changes_nothing(archive: Path, tmp_path: Path) -> None:
    """Nothing is unpacked, and `current` stays."""
    to = tmp_path / "bundles"
    other = packed(plain_bundle(tmp_path / "made", draft(base_model="other")), tmp_path / "other.tar")
    version = deliver(archive, digest_of(archive), to).version
    with pytest.raises(DeliveryError, match="wrong digest"):
        deliver(other, "0" * 64, to)
    assert visible(to) == {version, "current"}
    assert open_bundle(to / "current").version == version


def test_a_bundle_changed_before_it_was_packed_is_refused(bundle: Path, tmp_path: Path) -> None:
    """The digest of the archive is right, those of the manifest are not. The error names no temporary folder."""
    (bundle / "model.onnx").write_bytes(bytes(256))
    archive = packed(bundle, tmp_path / "b.tar")
    with pytest.raises(DeliveryError) as caught:
        deliver(archive, digest_of(archive), tmp_path / "bundles")
    assert f"{archive}: refused: model.onnx: its digest is not the manifest's" in str(caught.value)
    assert visible(tmp_path / "bundles") == set()


def test_an_archive_without_a_bundle_is_refused(tmp_path: Path) -> None:
    """A valid tar file with other content."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").touch()
    archive = packed(other, tmp_path / "b.tar")
    with pytest.raises(DeliveryError, match=r"refused: .*it has no manifest\.json"):
        deliver(archive, digest_of(archive), tmp_path / "bundles")


def test_files_of_a_killed_run_are_removed(archive: Path, tmp_path: Path) -> None:
    """A partial archive, bundle and record."""
    to = tmp_path / "bundles"
    (to / ".fetch" / "work" / "bundle").mkdir(parents=True)
    (to / ".fetch" / "work" / "archive").write_bytes(b"half")
    (to / ".fetch" / "delivered").mkdir()
    (to / ".fetch" / "delivered" / digest_of(archive)).write_text("0123")
    version = deliver(archive, digest_of(archive), to).version
    assert visible(to) == {version, "current"}


def test_two_runs_do_not_work_in_one_folder_at_once(archive: Path, tmp_path: Path) -> None:
    """Pods share a volume: the second run waits, and fails after its timeout."""
    to = tmp_path / "bundles"
    with lock_store(to, 1), pytest.raises(DeliveryError, match="another fetch is still"):
        deliver(archive, digest_of(archive), to, seconds=0.3)
    assert deliver(archive, digest_of(archive), to).version


@AS_ROOT
def test_a_full_disk_is_reported_and_left_clean(tmp_path: Path, mounted: Path) -> None:
    """The archive does not fit: one line with the system's message, and the space is free again."""
    (tmp_path / "big").write_bytes(os.urandom(200_000))
    with pytest.raises(DeliveryError, match="No space left on device"):
        deliver(tmp_path / "big", digest_of(tmp_path / "big"), mounted)
    assert visible(mounted) == set()


@AS_ROOT
def test_a_disk_full_while_unpacking_is_reported(bundle: Path, tmp_path: Path, mounted: Path) -> None:
    """The archive fits, its content does not: the error does not blame the archive."""
    (bundle / "zeros").write_bytes(bytes(200_000))
    archive = packed(bundle, tmp_path / "b.tar.gz")
    with pytest.raises(DeliveryError, match="No space left on device"):
        deliver(archive, digest_of(archive), mounted)
    assert visible(mounted) == set()


@AS_ROOT
def test_a_read_only_folder_is_reported(archive: Path, mounted: Path) -> None:
    """For example a read-only volume."""
    subprocess.run(["mount", "-o", "remount,ro", mounted], check=True)
    with pytest.raises(DeliveryError, match="Read-only file system"):
        deliver(archive, digest_of(archive), mounted)


@pytest.mark.parametrize("source", ["missing.tar", "."])
def test_a_missing_file_or_a_folder_is_reported(tmp_path: Path, source: str) -> None:
    with pytest.raises(DeliveryError, match="no such file"):
        deliver(tmp_path / source, "0" * 64, tmp_path / "bundles")


def test_a_bundle_of_the_first_schema_is_not_delivered(bundle: Path, tmp_path: Path) -> None:
    """The error names the command that renews it, and `current` is not set."""
    old = packed(as_first_schema(bundle), tmp_path / "old.tar")
    with pytest.raises(DeliveryError, match=r"older release .* python -m training train --data"):
        deliver(old, digest_of(old), tmp_path / "bundles")
    assert visible(tmp_path / "bundles") == set()
