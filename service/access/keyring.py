"""The valid keys, indexed by their digests. Immutable: `access.py` creates a new ring for a changed file.

A key is 256 random bits, so plain SHA-256 is safe: slow password hashes protect against lists of likely values, and
there is no such list here. Checking a key costs one hash and one look-up; a string of another form is not hashed.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping

from service.access.caller import Caller, Rate
from service.access.keys_file import KeyEntry, KeysFile

PREFIX = "trk_"
"""Lets people and secret scanners recognise a key."""
KEY_BYTES = 32
KEY = re.compile(rb"trk_[A-Za-z0-9_-]{43}")
"""A string of another form is refused without hashing: an entry with the digest of a password accepts nothing."""
_PREFIX_BYTES = 8


def new_key() -> str:
    return PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode().rstrip("=")


def digest_of(key: str) -> str:
    """The digest in the form of the keys file."""
    return hashlib.sha256(key.encode()).hexdigest()


class Keyring:
    def __init__(self, file: KeysFile) -> None:
        self.entries: Mapping[str, KeyEntry] = {entry.name: entry for entry in file.keys}
        self.callers = [
            Caller(entry.name, entry.roles, rate_of(entry), entry.expires.timestamp() if entry.expires else None)
            for entry in file.keys
        ]
        self._by_digest_prefix: dict[bytes, list[tuple[bytes, Caller]]] = {}
        for entry, caller in zip(file.keys, self.callers, strict=True):
            for digest in map(bytes.fromhex, entry.sha256):
                self._by_digest_prefix.setdefault(digest[:_PREFIX_BYTES], []).append((digest, caller))

    def find(self, key: bytes) -> Caller | None:
        """The caller with this key. No timing leak: the index is part of a hash that a client cannot choose, and the
        full digest is compared in constant time."""
        return self.find_digest(hashlib.sha256(key).digest()) if KEY.fullmatch(key) else None

    def find_digest(self, digest: bytes) -> Caller | None:
        """The caller whose key has this digest."""
        for candidate, caller in self._by_digest_prefix.get(digest[:_PREFIX_BYTES], ()):
            if hmac.compare_digest(candidate, digest):
                return caller
        return None


def rate_of(entry: KeyEntry) -> Rate | None:
    """The rate of the entry, None: no rate limit. The default burst is one second's tickets."""
    if entry.tickets_per_second is None:
        return None
    return Rate(entry.tickets_per_second, entry.burst or max(1, round(entry.tickets_per_second)))
