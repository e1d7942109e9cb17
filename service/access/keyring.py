"""The keys that are known now, by their digests. Frozen: another file makes another ring.

A key is 256 random bits, so plain SHA-256 hides it: there is no list of likely keys to hash, which is what slow
password hashes are for. A caller of that form costs one hash and one look-up; one of another form is not even hashed.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping

from service.access.caller import Caller, Rate
from service.access.keys_file import Entry, KeysFile

PREFIX = "trk_"
"""Tells people, and tools that look for secrets where none should be, what this is."""
KEY_BYTES = 32
KEY = re.compile(rb"trk_[A-Za-z0-9_-]{43}")
"""Nobody can give the digest of a password: what has not this form is refused unhashed."""
_INDEX_BYTES = 8


def new_key() -> str:
    return PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode().rstrip("=")


def digest_of(key: str) -> str:
    """As it stands in the keys file."""
    return hashlib.sha256(key.encode()).hexdigest()


class Keyring:
    def __init__(self, file: KeysFile) -> None:
        self.entries: Mapping[str, Entry] = {entry.name: entry for entry in file.keys}
        self.callers = [_caller(entry) for entry in file.keys]
        self._known: dict[bytes, list[tuple[bytes, Caller]]] = {}
        for entry, caller in zip(file.keys, self.callers, strict=True):
            for digest in map(bytes.fromhex, entry.sha256):
                self._known.setdefault(digest[:_INDEX_BYTES], []).append((digest, caller))

    def find(self, key: bytes) -> Caller | None:
        """Whose key this is, in a time that tells nothing of the digests: the index is of a hash that nobody can steer,
        and the rest is compared in constant time."""
        if not KEY.fullmatch(key):
            return None
        digest = hashlib.sha256(key).digest()
        for known, caller in self._known.get(digest[:_INDEX_BYTES], ()):
            if hmac.compare_digest(known, digest):
                return caller
        return None


def rate_of(entry: Entry) -> Rate | None:
    """Its limit, None: it has none of its own. A burst that is not given is one second's."""
    if entry.tickets_per_second is None:
        return None
    return Rate(entry.tickets_per_second, entry.burst or max(1, round(entry.tickets_per_second)))


def _caller(entry: Entry) -> Caller:
    return Caller(entry.name, entry.roles, rate_of(entry), entry.expires.timestamp() if entry.expires else None)
