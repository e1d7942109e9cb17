"""The bundle folder on disk: written completely or not at all, and verified before anything in it is parsed.

`training.export` writes it, `service` opens it. Layout: `manifest.json`, the files that the manifest lists, optionally
the manifest's signature (`signature.py`), and nothing else.
"""

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import BaseModel, ValidationError

from models.bundle.manifest import SCHEMA_VERSION, FileEntry, Manifest, ModelEntry
from models.bundle.signature import SIGNATURE_BYTES, read_keys, verify
from models.encoding import Encoder, Encoding
from models.errors import BundleError
from models.scoring import FieldScoring, Logits, Verdict, judge, judge_batch
from models.text.prepare import TEXT_VERSION

MANIFEST = "manifest.json"
SIGNATURE = "manifest.json.minisig"
NGRAMS = "ngrams.onnx"
"""What each n-gram of a hybrid model says, for explanations: decides no answer. Bundles without n-grams have none."""
MANIFEST_BYTES = 4_000_000
"""Largest manifest read: room for a few thousand labels, but not for a file meant to fill the memory."""
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Graph:
    """One graph of a bundle with its own calibration, which turns its logits into verdicts."""

    entry: ModelEntry
    scorings: tuple[FieldScoring, ...]

    def judge(self, logits: Logits) -> Verdict:
        """One ticket's verdict from this graph's logits, shape [labels]."""
        return judge(logits, self.scorings)

    def judge_batch(self, logits: Logits) -> list[Verdict]:
        """The tickets' verdicts from this graph's logits, [tickets, labels]."""
        return judge_batch(logits, self.scorings)


@dataclass(frozen=True)
class Bundle:
    """An opened bundle, its digests verified. `graphs` are in the manifest's order."""

    path: Path
    manifest: Manifest
    encoder: Encoder
    graphs: tuple[Graph, ...]

    @property
    def version(self) -> str:
        return self.manifest.version

    def encode(self, text: str) -> Encoding:
        return self.encoder.encode(text)

    def graph(self, variant: str, instructions: Collection[str]) -> Graph:
        """The first graph of this variant that suits a processor with these instructions.

        Raises:
            BundleError: the bundle has no such variant, or none for this processor.
        """
        graphs = [graph for graph in self.graphs if graph.entry.variant == variant]
        if not graphs:
            had = ", ".join(dict.fromkeys(graph.entry.variant for graph in self.graphs))
            raise BundleError(f"bundle {self.version} has no {variant} variant, it has: {had}")
        for graph in graphs:
            if graph.entry.suits_processor(instructions):
                return graph
        wanted = ", ".join(name for graph in graphs for name in graph.entry.instructions)
        raise BundleError(
            f"bundle {self.version}: its {variant} graphs are for processors with one of {wanted}, this one has none "
            "of them; use --variant fp32"
        )

    @property
    def fp32(self) -> Graph:
        return next(graph for graph in self.graphs if graph.entry.variant == "fp32")

    def read(self, name: str) -> bytes:
        """A file's bytes, checked against its digest as they were read.

        Raises:
            BundleError: the bundle has no such file, or it changed since the bundle was opened.
        """
        if name not in self.manifest.files:
            raise BundleError(f"bundle {self.version} has no {name}")
        return _read_verified(self.path, name, self.manifest.files[name])


def open_bundle(path: Path, key_file: Path | None = None) -> Bundle:
    """Verify the signature, if one is asked for, and every digest; then load.

    Args:
        path: the bundle's folder, or a link to it.
        key_file: minisign's public key that must have signed it; None: the signature is not verified.

    Raises:
        BundleError: no bundle there, or it is damaged, holds links or files it doesn't list, is made for another
            schema or text version, or is not signed with the key. The message is one line that names the file.
    """
    # The key first: a wrong key must not be reported as an unsigned bundle.
    keys = read_keys(key_file) if key_file is not None else None
    try:
        folder = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise BundleError(f"{path}: no bundle there; train one with: python -m training train --data …") from error
    try:
        if not (folder / MANIFEST).is_file():
            raise BundleError(f"{path}: not a bundle, it has no {MANIFEST}; give the folder that training wrote")
        manifest = _read_manifest(folder, keys)
        listed = {MANIFEST, SIGNATURE, *manifest.files}
        with os.scandir(folder) as found:
            for file in found:
                if file.name not in listed:
                    raise BundleError(f"{folder}: holds a file its manifest does not list ({file.name!a}); remove it")
        for name, entry in manifest.files.items():
            digest = hashlib.sha256()
            with _open_regular(folder, name, entry.size, least=entry.size) as content:
                while chunk := content.read(_CHUNK):
                    digest.update(chunk)
            _refuse_digest(folder, name, digest.hexdigest(), entry)
        if manifest.text_version != TEXT_VERSION:
            raise BundleError(
                f"{folder}: made with text cleaning version {manifest.text_version}, this code has {TEXT_VERSION}; "
                "retrain, or run the release that made it"
            )
        tokenizer = _read_verified(folder, "tokenizer.json", manifest.files["tokenizer.json"])
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        encoder = Encoder(tokenizer, max_tokens=manifest.encoder.max_tokens, pad_id=manifest.encoder.pad_id)
    except Exception as error:  # tokenizers raises bare Exception on a file it cannot read
        raise BundleError(f"{folder}/tokenizer.json: not a tokenizer this version can read; export it anew") from error
    graphs = tuple(Graph(entry, entry.scorings()) for entry in manifest.models)
    return Bundle(folder, manifest, encoder, graphs)


def write_bundle(store: Path, draft: Mapping[str, Any], files: Mapping[str, bytes | Path]) -> Path:
    """Write a bundle into `store` under its version id, whole or not at all, and return its folder.

    Args:
        store: folder of bundles; made when absent.
        draft: the manifest's content without `version` and `files`, which follow from the rest.
        files: each file's bytes, or where to copy it from.

    An existing bundle of that version (the same inputs give the same version) is verified and kept.

    Raises:
        BundleError: the store cannot be written.
    """
    try:
        store.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".staging-", dir=store))
    except OSError as error:
        raise BundleError(f"{store}: cannot write a bundle there ({error.strerror}); choose another folder") from error
    try:
        entries = {name: _put(staging / name, content) for name, content in sorted(files.items())}
        unnamed = Manifest.model_validate({**draft, "version": "0" * 16, "files": entries})
        manifest = unnamed.model_copy(update={"version": unnamed.expected_version()})
        _put(staging / MANIFEST, manifest.to_json())
        sync_folder(staging)
        # mkdtemp makes folders for their owner only; a bundle is read by the service's user too.
        staging.chmod(0o755)
        target = store / manifest.version
        try:
            staging.rename(target)
        except OSError:
            if not target.exists():
                raise
            open_bundle(target)  # the same bundle exists: from an earlier or a concurrent run
        else:
            sync_folder(store)
        return target
    except OSError as error:
        raise BundleError(f"{store}: writing the bundle failed ({error.strerror}); nothing was kept") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def point_current(store: Path, version: str) -> None:
    """Make `store/current` point at a bundle of the store, atomically (a link made aside and renamed over it).

    Raises:
        BundleError: the bundle is not in the store or the pointer cannot be written.
    """
    if not (store / version / MANIFEST).is_file():
        raise BundleError(f"{store}: no bundle {version} there")
    aside = store / f".current-{os.getpid()}"
    try:
        with contextlib.suppress(FileNotFoundError):
            aside.unlink()
        aside.symlink_to(version)
        aside.replace(store / "current")
        sync_folder(store)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise BundleError(f"{store}/current: cannot be moved ({error.strerror})") from error


def _read_manifest(folder: Path, keys: Mapping[bytes, bytes] | None) -> Manifest:
    raw = _read_regular(folder, MANIFEST, MANIFEST_BYTES)
    if keys is not None:
        if not (folder / SIGNATURE).exists():
            raise BundleError(
                f"{folder}: not signed, and a signature is asked for; sign it with: minisign -Sm {MANIFEST}"
            )
        signature = _read_regular(folder, SIGNATURE, SIGNATURE_BYTES)
        try:
            verify(raw, signature, keys)
        except BundleError as error:
            raise BundleError(f"{folder}/{SIGNATURE}: {error}") from error
    try:
        manifest = Manifest.model_validate_json(raw)
    except ValidationError as error:
        _refuse_schema(folder, raw)
        first = error.errors()[0]
        if first["type"] == "value_error":  # from `Manifest`'s own validator: the parts contradict each other
            raise BundleError(f"{folder}/{MANIFEST}: {first['ctx']['error']}; export it anew") from error
        where = ".".join(str(part) for part in first["loc"])[:100] or "its JSON"
        raise BundleError(f"{folder}/{MANIFEST}: damaged or from another release, at {where!r}") from error
    # Only the canonical JSON is accepted: with a repeated key, another parser could read other values.
    if manifest.version != manifest.expected_version() or raw != manifest.to_json():
        raise BundleError(f"{folder}/{MANIFEST}: its content does not give its version id; it was changed after export")
    return manifest


class _Schema(BaseModel):
    """The part of a manifest that every release understands."""

    schema_version: int


def _refuse_schema(folder: Path, manifest: bytes) -> None:
    """Refuse a manifest of another schema, with the way out."""
    try:
        found = _Schema.model_validate_json(manifest).schema_version
    except ValidationError:
        return
    if found < SCHEMA_VERSION:
        raise BundleError(
            f"{folder}: written by an older release (schema {found}, this release reads {SCHEMA_VERSION}); "
            "train it again from its closed tickets: python -m training train --data …"
        )
    if found > SCHEMA_VERSION:
        raise BundleError(
            f"{folder}: written by a later release (schema {found}, this release reads {SCHEMA_VERSION}); "
            "run that release"
        )


def _read_verified(folder: Path, name: str, entry: FileEntry) -> bytes:
    raw = _read_regular(folder, name, entry.size, least=entry.size)
    _refuse_digest(folder, name, hashlib.sha256(raw).hexdigest(), entry)
    return raw


def _refuse_digest(folder: Path, name: str, digest: str, entry: FileEntry) -> None:
    if digest != entry.sha256:
        raise BundleError(f"{folder}/{name}: its digest is not the manifest's; the file is damaged, copy it anew")


def _read_regular(folder: Path, name: str, most: int, least: int = 0) -> bytes:
    with _open_regular(folder, name, most, least) as file:
        return file.read(most + 1)


def _open_regular(folder: Path, name: str, most: int, least: int = 0) -> BinaryIO:
    """Open a regular file of `least` to `most` bytes, never through a link.

    The size is checked before reading, because memory is reserved by the size in the manifest.
    """
    try:
        descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise BundleError(f"{folder}/{name}: missing, a link, or unreadable ({error.strerror})") from error
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode) or not least <= facts.st_size <= most:
        os.close(descriptor)
        size = f"{most} bytes" if least else f"at most {most} bytes"
        raise BundleError(f"{folder}/{name}: not a regular file of {size}; the bundle is damaged, copy it anew")
    return os.fdopen(descriptor, "rb")


def _put(path: Path, content: bytes | Path) -> FileEntry:
    if isinstance(content, Path):
        shutil.copyfile(content, path)
    else:
        path.write_bytes(content)
    with path.open("rb") as file:
        os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileEntry(sha256=digest, size=path.stat().st_size)


def sync_folder(folder: Path) -> None:
    """Flush the folder's entries to disk: a rename alone may be lost in a power cut.

    Raises:
        OSError
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
