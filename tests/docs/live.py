"""A real service and a real folder for the commands of the documentation, and how one is run there by bash.

The folder is what the documentation's reader has: `models/bundles` with a bundle that serves, the same as
`bundle.tar.gz`, `export.csv`, `mail.eml`.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.process import ROOT, Service

CURLRC = 'silent\nwrite-out = "%{stderr}\\nstatus %{http_code}\\n"\n'
"""Makes every curl print its status on standard error, whatever its own flags."""
STRANGERS_KEY = f"trk_{'A' * 43}"
"""The value of `$KEY` in a command: the service has no keys, and must ignore one."""
VERSION = re.compile(r"\b(?!0{16})(?:[0-9a-f]{16}|VERSION)\b")
"""A bundle's version; a version of zeros does not exist."""


@dataclass(frozen=True)
class Ran:
    """The result of a statement. `statuses` are those of its HTTP responses."""

    code: int
    out: str
    err: str

    @property
    def statuses(self) -> list[int]:
        return [int(found) for found in re.findall(r"^status (\d{3})$", self.err, re.MULTILINE)]


def json_in(text: str) -> Any:
    """The JSON object at the end of a text, perhaps after headers (`curl -i`); None if there is none."""
    found = re.search(r"^\{.*", text, re.MULTILINE | re.DOTALL)
    return json.loads(found[0]) if found else None


@dataclass(frozen=True)
class Live:
    """The folder in which statements run, their service, and the bundle that it serves."""

    folder: Path
    service: Service
    version: str

    def run(self, statement: str) -> Ran:
        """Run it with bash, with this service's ports and bundle in place of the documentation's."""
        return self._bash(statement, self.folder)

    def in_repository(self, statement: str) -> Ran:
        """The same in the repository's root; for statements that change nothing."""
        return self._bash(statement, ROOT)

    def here(self, text: str) -> str:
        ports = {"8080": self.service.port, "9090": self.service.management_port}
        text = re.sub(r"localhost:(8080|9090)", lambda found: f"127.0.0.1:{ports[found[1]]}", text)
        text = text.replace("--from URL", f"--from {self.archive}").replace("sha256:HEX", f"sha256:{self.digest}")
        return VERSION.sub(self.version, text.replace("--to /bundles", f"--to {self.folder}/bundles"))

    @property
    def archive(self) -> Path:
        return self.folder / "bundle.tar.gz"

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.archive.read_bytes()).hexdigest()

    def environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        ours = {"PATH": path, "PYTHONPATH": str(ROOT), "CURL_HOME": str(self.folder), "KEY": STRANGERS_KEY}
        return {**os.environ, **ours}

    def _bash(self, statement: str, folder: Path) -> Ran:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.here(statement)],
            cwd=folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        return Ran(done.returncode, done.stdout, done.stderr)
