"""pip's local configuration, passed to the build from outside: the Dockerfile names no index and no certificate."""

import ast
import subprocess
import sys
from pathlib import Path

CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
"""Where the Dockerfile mounts the secret `ca`."""
NAMING_FILES = ("find-links", "constraint")
"""Settings that name files or folders, which the build needs at the same path."""


def pip_flags(folder: Path) -> list[str]:
    """`buildah build` flags: pip's settings and certificates as secrets, what they name as volumes.

    Args:
        folder: the settings are written there, in one file; it must outlive the build.
    """
    options = _options()
    flags = []
    if "cert" in options:
        flags += ["--secret", f"id=ca,src={options['cert']}"]
        options["cert"] = CERTIFICATES
    named = " ".join(options.get(name, "") for name in NAMING_FILES).split()
    flags += [word for each in named if Path(each).exists() for word in ("--volume", f"{each}:{each}:ro")]
    settings = folder / "pip.conf"
    lines = [f"{name} = {' '.join(value.split())}\n" for name, value in options.items()]
    settings.write_text("[global]\n" + "".join(lines))
    return [*flags, "--secret", f"id=pip.conf,src={settings}"]


def _options() -> dict[str, str]:
    """The output of `pip config list`; the environment takes precedence."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    pairs = [line.split("=", 1) for line in listed.stdout.splitlines()]
    pairs.sort(key=lambda pair: pair[0].startswith(":env:"))
    return {name.rsplit(".", 1)[1]: ast.literal_eval(value) for name, value in pairs}
