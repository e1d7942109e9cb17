"""What an archive may hold: one bundle's files, and no way out of their folder."""

import gzip
import io
import tarfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.delivery.archive import HEADER_BYTES, MAX_MEMBERS, unpack
from service.delivery.download import DeliveryError
from tests.support.delivery import packed, tar_of
from tests.support.plain import plain_bundle

MEGABYTE = 1_000_000


def named(name: str, kind: bytes = tarfile.REGTYPE, **facts: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for fact, value in facts.items():
        setattr(info, fact, value)
    return info


def unpacked(archive: Path, max_bytes: int = MEGABYTE) -> dict[str, bytes]:
    folder = archive.parent / "unpacked"
    unpack(archive, folder, max_bytes)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["b.tar", "b.tar.gz"])
@pytest.mark.parametrize("arcname", ["0123456789abcdef", "."])
def test_an_unpacked_bundle_equals_the_packed_one(tmp_path: Path, name: str, arcname: str) -> None:
    """Plain or gzipped, in a folder of any name or in none."""
    bundle = plain_bundle(tmp_path / "store")
    content = {path.name: path.read_bytes() for path in bundle.iterdir()}
    assert unpacked(packed(bundle, tmp_path / name, arcname)) == content


@pytest.mark.parametrize(
    "member",
    [
        named("/etc/file"),
        named("../file"),
        named("a/../../file"),
        named("a/b/file"),
        named(".hidden"),
        named("a\nb"),
        named("é"),
        named("link", tarfile.SYMTYPE, linkname="/etc/passwd"),
        named("link", tarfile.LNKTYPE, linkname="manifest.json"),
        named("device", tarfile.CHRTYPE, devmajor=1, devminor=3),
        named("block", tarfile.BLKTYPE),
        named("pipe", tarfile.FIFOTYPE),
        named("a/b", tarfile.DIRTYPE),
        named("..", tarfile.DIRTYPE),
    ],
    ids=lambda member: f"{member.name!a}-{member.type!a}",
)
def test_a_member_that_no_bundle_has_is_refused(tmp_path: Path, member: tarfile.TarInfo) -> None:
    """Traversal, links, devices, nested folders: the error names the member, and nothing is written outside."""
    archive = tar_of(tmp_path / "b.tar", (named("manifest.json"), b"{}"), (member, b""))
    with pytest.raises(DeliveryError, match=r"^(holds|not a sound)"):
        unpacked(archive)
    assert {path.name for path in tmp_path.iterdir()} == {"b.tar", "unpacked"}
    assert {path.name for path in (tmp_path / "unpacked").iterdir()} <= {"manifest.json"}


def test_an_archive_of_the_current_link_is_refused_with_advice(tmp_path: Path) -> None:
    """`tar … current` packs only the link: the error says what to pack."""
    archive = tar_of(tmp_path / "b.tar", (named("current", tarfile.SYMTYPE, linkname="0123456789abcdef"), b""))
    with pytest.raises(DeliveryError, match=r"^'current' is a link; pack the folder it leads to$"):
        unpacked(archive)


@given(name=st.text(max_size=60) | st.from_regex(r"(\.|\.\.|/|[a-z]|\\|\x00|C:){1,8}", fullmatch=True))
def test_no_member_is_written_outside_the_folder(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    """For any name, a member is written directly into the folder or refused."""
    place = tmp_path_factory.mktemp("names")
    archive = place / "b.tar"
    try:
        tar_of(archive, (named(name), b"content"))
    except UnicodeError:
        return
    try:
        files = unpacked(archive)
    except DeliveryError:
        files = {}
    assert {path.name for path in place.iterdir()} == {"b.tar", "unpacked"}
    assert all(path.is_file() and not path.is_symlink() for path in (place / "unpacked").iterdir())
    assert set(files.values()) <= {b"content"}


def test_an_archive_of_two_folders_is_refused(tmp_path: Path) -> None:
    """One bundle is delivered at a time."""
    archive = tar_of(tmp_path / "b.tar", (named("a/manifest.json"), b"{}"), (named("b/model.onnx"), b"x"))
    with pytest.raises(DeliveryError, match="more than one folder"):
        unpacked(archive)


def test_a_duplicate_file_is_refused(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "b.tar", (named("manifest.json"), b"1"), (named("./manifest.json"), b"2"))
    with pytest.raises(DeliveryError, match=r"'\./manifest\.json' twice"):
        unpacked(archive)


def test_a_sparse_file_is_refused(tmp_path: Path) -> None:
    """A few bytes would unpack to gigabytes of zeros."""
    member = named("model.onnx", pax_headers={"GNU.sparse.map": "0,1", "GNU.sparse.size": "9000000000"})
    archive = tmp_path / "b.tar"
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(DeliveryError, match=r"which no bundle does|--max-bytes"):
        unpacked(archive, max_bytes=10_000_000_000)


def test_a_decompression_bomb_is_refused(tmp_path: Path) -> None:
    """Ten megabytes of zeros compress to ten kilobytes: the unpacked size counts."""
    with tarfile.open(tmp_path / "b.tar.gz", "w:gz") as tar:
        for number in range(10):
            info = named(f"file{number}", size=MEGABYTE)
            tar.addfile(info, io.BytesIO(bytes(MEGABYTE)))
    with pytest.raises(DeliveryError, match="the content is larger than --max-bytes 5000000"):
        unpacked(tmp_path / "b.tar.gz", max_bytes=5_000_000)


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    """Reading them takes time, even if they are empty."""
    archive = tar_of(tmp_path / "b.tar", *[(named("folder", tarfile.DIRTYPE), b"")] * (MAX_MEMBERS + 1))
    with pytest.raises(DeliveryError, match=f"more than {MAX_MEMBERS} members"):
        unpacked(archive)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_giant_header_is_not_read_into_memory(tmp_path: Path, kind: bytes) -> None:
    """A name with a declared length of 200 MB is refused after one megabyte."""
    size = 200 * MEGABYTE
    header = named("long", kind, size=size).tobuf(tarfile.USTAR_FORMAT)
    with gzip.open(tmp_path / "b.tar.gz", "wb", 1) as file:
        file.write(header)
        for _ in range(20):
            file.write(bytes(size // 20))
    tracemalloc.start()
    try:
        with pytest.raises(DeliveryError, match=f"header of more than {HEADER_BYTES}"):
            unpacked(tmp_path / "b.tar.gz")
        assert tracemalloc.get_traced_memory()[1] < 20 * MEGABYTE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("content", [b"", b"no archive at all" * 100, b"\x1f\x8bnor this", b"\x28\xb5\x2f\xfd zstd"])
def test_another_file_is_not_an_archive(tmp_path: Path, content: bytes) -> None:
    """A text, an empty file, a damaged gzip, an unsupported compression."""
    (tmp_path / "b.tar").write_bytes(content)
    with pytest.raises(DeliveryError, match=r"^not a sound tar or tar\.gz archive"):
        unpacked(tmp_path / "b.tar")


@pytest.mark.parametrize("name", ["b.tar", "b.tar.gz"])
def test_half_an_archive_is_refused(tmp_path: Path, name: str) -> None:
    """It may have been truncated before its digest was computed."""
    archive = packed(plain_bundle(tmp_path / "store"), tmp_path / name)
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 3])
    with pytest.raises(DeliveryError, match="not a sound tar"):
        unpacked(archive)
