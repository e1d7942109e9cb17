"""Bundles that need a signature: signed by the real minisign, checked before any other parsing."""

import base64
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from models.bundle import bundle as bundle_module
from models.bundle.bundle import MANIFEST, SIGNATURE, open_bundle
from tests.support.plain import draft, plain_bundle, refusal
from tests.support.sealing import resealed
from tests.support.signing import Signer, new_signer


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return new_signer(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def signed(copied: Path, signer: Signer) -> Path:
    """A signed copy, to damage."""
    return signer.sign(copied)


@pytest.mark.parametrize("flags", [(), ("-l",), ("-t", "by Ada for July, \N{SNOWMAN}"), ("-c", "anything at all")])
def test_a_signed_bundle_opens(copied: Path, signer: Signer, flags: tuple[str, ...]) -> None:
    """In the current format, the one before 0.10, and with custom comments; the version is unchanged."""
    assert open_bundle(signer.sign(copied, *flags), signer.public).version == copied.name


def test_a_signature_is_ignored_without_a_key(signed: Path) -> None:
    """Without a key a signed bundle opens like any other, even with an invalid signature."""
    (signed / SIGNATURE).write_bytes(b"anything")
    assert open_bundle(signed).version == signed.name


def test_an_unsigned_bundle_is_refused(copied: Path, signer: Signer) -> None:
    """The message says how to sign it."""
    assert refusal(copied, signer.public).endswith("sign it with: minisign -Sm manifest.json")


def test_another_key_is_refused(signed: Path, tmp_path: Path, signer: Signer) -> None:
    """Both keys are named as minisign names them."""
    other = new_signer(tmp_path, "other")
    message = refusal(signed, other.public)
    for each in (signer, other):
        assert each.public.read_text().split()[5] in message


def test_another_key_with_the_same_id_is_refused(signed: Path, tmp_path: Path, signer: Signer) -> None:
    """The id only selects the key to try."""
    other = new_signer(tmp_path, "other")
    ours, theirs = (base64.b64decode(each.public.read_text().splitlines()[1]) for each in (signer, other))
    other.public.write_bytes(base64.b64encode(theirs[:2] + ours[2:10] + theirs[10:]))
    assert "no signature of this manifest" in refusal(signed, other.public)


def test_a_key_file_may_hold_two_keys(signed: Path, tmp_path: Path, signer: Signer) -> None:
    """During a change of keys, bundles signed with either key serve."""
    other, both = new_signer(tmp_path, "other"), tmp_path / "both.pub"
    both.write_text(other.public.read_text() + signer.public.read_text())
    assert open_bundle(signed, both)
    other.sign(signed)
    assert open_bundle(signed, both)


@pytest.mark.parametrize("changes", [{"created_at": "2027-01-01T00:00:00Z"}, {"provenance": {}}, {"golden_rows": 2}])
def test_a_changed_manifest_with_matching_digests_is_refused(
    signed: Path, signer: Signer, changes: dict[str, object]
) -> None:
    """Recomputing the version id is possible without the key, a signature is not."""
    resealed(signed, **changes)
    assert open_bundle(signed).path == signed
    assert "no signature of this manifest" in refusal(signed, signer.public)


def test_another_bundles_signature_is_refused(signed: Path, tmp_path: Path, signer: Signer) -> None:
    """A signature belongs to one manifest."""
    other = signer.sign(plain_bundle(tmp_path / "store", draft(base_model="other")))
    shutil.copy(other / SIGNATURE, signed / SIGNATURE)
    assert "no signature of this manifest" in refusal(signed, signer.public)


def test_no_byte_of_the_signature_can_change(signed: Path, signer: Signer) -> None:
    """A bit of each byte in turn, and every truncation, is refused, except in the comment that minisign calls
    untrusted."""
    path = signed / SIGNATURE
    sound = path.read_bytes()
    untrusted = range(len("untrusted comment: "), sound.index(b"\n"))
    spoiled = [sound[:at] + bytes([sound[at] ^ 1 << at % 8]) + sound[at + 1 :] for at in range(len(sound))]
    for at, content in enumerate(spoiled):
        path.write_bytes(content)
        if at not in untrusted or b"\n" in content[untrusted.start : untrusted.stop]:
            assert SIGNATURE in refusal(signed, signer.public)
    for size in range(len(sound)):
        path.write_bytes(sound[:size])
        assert "not a whole minisign signature" in refusal(signed, signer.public)


def test_a_changed_trusted_comment_is_refused(signed: Path, signer: Signer) -> None:
    """The trusted comment is signed too, so that it can be believed."""
    path = signed / SIGNATURE
    path.write_text(path.read_text().replace("file:manifest.json", "file:other.json"))
    assert "its trusted comment was changed" in refusal(signed, signer.public)


@pytest.mark.parametrize(
    "spoil", [Path.mkdir, lambda path: path.symlink_to("/dev/zero"), lambda p: p.write_bytes(b"x" * 20_000)]
)
def test_an_invalid_signature_file_is_refused(signed: Path, signer: Signer, spoil: Callable[[Path], None]) -> None:
    """A folder, a link to itself, a file that is too large."""
    (signed / SIGNATURE).unlink()
    spoil(signed / SIGNATURE)
    assert SIGNATURE in refusal(signed, signer.public)


def test_the_signature_is_checked_before_anything_is_parsed(
    signed: Path, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Untrusted bytes reach no parser, not even the manifest's."""
    (signed / MANIFEST).write_bytes(b"not even JSON")
    monkeypatch.setattr(bundle_module, "Manifest", None)
    assert "no signature of this manifest" in refusal(signed, signer.public)


@pytest.mark.parametrize(
    "content", ["", "untrusted comment: nothing\n", "RWQ=\n", "ssh-ed25519 AAAA x", "\xff\0", "SECRET"]
)
def test_a_file_that_holds_no_public_key_is_refused(signed: Path, signer: Signer, tmp_path: Path, content: str) -> None:
    """The message names the key's file, not the bundle; a private key given by mistake is refused likewise."""
    key = tmp_path / "some.pub"
    key.write_text(signer.secret.read_text() if content == "SECRET" else content)
    assert refusal(signed, key) == f"{key}: not a minisign public key; make a pair with: minisign -G"


@pytest.mark.parametrize("key", ["nowhere.pub", "release.key"])
def test_a_wrong_key_is_reported_before_a_missing_signature(copied: Path, signer: Signer, key: str) -> None:
    """The key is missing or private, and the bundle is unsigned: the message names the key."""
    path = signer.public.parent / key
    assert refusal(copied, path).startswith(f"{path}: ")


@pytest.mark.parametrize("name", ["nowhere.pub", "."])
def test_a_key_that_cannot_be_read_is_refused(signed: Path, tmp_path: Path, name: str) -> None:
    """A wrong path to the key never turns the check off."""
    assert "the public key cannot be read" in refusal(signed, tmp_path / name)
