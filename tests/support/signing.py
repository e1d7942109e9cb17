"""Bundles signed by the real minisign, with keys made here and thrown away."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from models.bundle.bundle import MANIFEST


@dataclass(frozen=True)
class Signer:
    """A pair of keys in a folder; `public` is what a service is given."""

    public: Path
    secret: Path

    def sign(self, bundle: Path, *flags: str) -> Path:
        """Sign the bundle's manifest as docs/deploy.md says; `-l` gives the format of minisign before 0.10."""
        _run("-S", *flags, "-s", str(self.secret), "-m", str(bundle / MANIFEST))
        return bundle


def new_signer(folder: Path, name: str = "release") -> Signer:
    signer = Signer(folder / f"{name}.pub", folder / f"{name}.key")
    _run("-G", "-W", "-p", str(signer.public), "-s", str(signer.secret))
    return signer


def _run(*arguments: str) -> None:
    subprocess.run(["minisign", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
