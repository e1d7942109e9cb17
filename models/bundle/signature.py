"""Verifies minisign signatures: Ed25519 over the manifest's bytes, whose digests pin every file of the bundle.

If a public key is given, `bundle.py` verifies before it parses anything. Keys are made and manifests are signed with
minisign's own tool, because this code never holds a private key: docs/deploy.md says how.
"""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path

from models.errors import BundleError

SIGNATURE_BYTES = 16_384
"""Largest signature file read; minisign's own comments are below 10 kB together."""
_KEY_BYTES = 1_000_000
_PURE, _PREHASHED = b"Ed", b"ED"
"""The signed bytes: the content (minisign before 0.10, and `-l`), or its BLAKE2b-512."""
_ID_END = 10
_UNTRUSTED, _TRUSTED = "untrusted comment: ", "trusted comment: "


def read_keys(path: Path) -> Mapping[bytes, bytes]:
    """Public keys by their ids, from a file as `minisign -G` writes it, or several such files in one (key rotation).

    Raises:
        BundleError: the file is missing or holds anything else.
    """
    try:
        with path.open("rb") as file:
            lines = file.read(_KEY_BYTES).decode("latin-1").splitlines()
    except OSError as error:
        raise BundleError(f"{path}: the public key cannot be read ({error.strerror})") from error
    raw = [_decoded(line) for line in lines if line and not line.startswith(_UNTRUSTED)]
    if not raw or any(len(key) != _ID_END + 32 or not key.startswith(_PURE) for key in raw):
        raise BundleError(f"{path}: not a minisign public key; make a pair with: minisign -G")
    return {key[2:_ID_END]: key[_ID_END:] for key in raw}


def verify(content: bytes, signature: bytes, keys: Mapping[bytes, bytes]) -> None:
    """Verify that one of the keys signed this content; `signature` is the content of its `.minisig` file.

    Raises:
        BundleError: none did, or it is not a signature.
    """
    # Split at line feeds alone: a comment may hold what elsewhere ends a line.
    lines = signature.decode("latin-1").split("\n")
    is_whole = len(lines) == 5 and not lines[4] and lines[0].startswith(_UNTRUSTED) and lines[2].startswith(_TRUSTED)
    main, comment_signature = (_decoded(lines[1]), _decoded(lines[3])) if is_whole else (b"", b"")
    if (len(main), len(comment_signature)) != (_ID_END + 64, 64) or main[:2] not in (_PURE, _PREHASHED):
        raise BundleError("not a whole minisign signature; sign the manifest anew")
    algorithm, key_id, content_signature = main[:2], main[2:_ID_END], main[_ID_END:]
    if key_id not in keys:
        asked = " or ".join(map(_shown, keys))
        raise BundleError(f"signed with key {_shown(key_id)}, asked for is {asked}")
    signed = content if algorithm == _PURE else hashlib.blake2b(content).digest()
    _verify_one(keys[key_id], content_signature, signed, "is no signature of this manifest")
    # The second signature is over the first one and the trusted comment.
    comment = content_signature + lines[2].removeprefix(_TRUSTED).encode("latin-1")
    _verify_one(keys[key_id], comment_signature, comment, "its trusted comment was changed")


def _verify_one(key: bytes, signature: bytes, signed: bytes, fault: str) -> None:
    # Imported here: it costs 9 MB and 20 ms, and most services set no key.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, signed)
    except InvalidSignature as error:
        raise BundleError(fault) from error


def _decoded(line: str) -> bytes:
    """Canonical base64 decoded, else empty: otherwise changed bits behind the last byte would not be noticed."""
    try:
        raw = base64.b64decode(line, validate=True)
    except ValueError:
        return b""
    return raw if base64.b64encode(raw).decode() == line else b""


def _shown(key_id: bytes) -> str:
    """A key's id as minisign prints it."""
    return f"{int.from_bytes(key_id, 'little'):016X}"
