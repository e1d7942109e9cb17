"""The OpenAPI document checked against the running service by a contract tester, schemathesis.

`python -m tests.faults.contract BUNDLE [EXAMPLES]` runs the long form. schemathesis knows JSON Schema and sends what
its libraries can send, so it finds where document and service differ; it sends none of the raw bytes in
`http/corpus.py`.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.keys import Known, file_of
from tests.support.process import serving

CONFIG = Path(__file__).with_name("schemathesis.toml")


def run_schemathesis(document: str, url: str, known: Known, examples: int) -> "subprocess.CompletedProcess[str]":
    """Run to its end, in its own folder, since schemathesis writes caches. The same seed sends the same requests."""
    program = Path(sys.executable).parent / "schemathesis"
    flags = [f"--url={url}", "--phases=coverage,fuzzing", f"--max-examples={examples}", "--seed=1", "--no-color"]
    flags += ["--continue-on-failure", "--generation-database=none"]  # all checks except those that CONFIG excludes
    flags += [f"--header={name}: {value}" for name, value in known.header.items()]
    with tempfile.TemporaryDirectory() as folder:
        command = [str(program), "--config-file", str(CONFIG), "run", document, *flags]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def check_service(bundle: Path, examples: int) -> "subprocess.CompletedProcess[str]":
    """Every operation of the public port, with a key: without one every response would be 401."""
    known = Known("contract")
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as keys:
        keys.write(file_of(known))
        keys.flush()
        with serving(bundle, "--keys-file", keys.name) as service:
            return run_schemathesis(service.management_url + "/openapi.json", service.url, known, examples)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("examples", type=int, nargs="?", default=1000, help="for each operation")
    given = parser.parse_args()
    done = check_service(given.bundle, given.examples)
    print(done.stdout, done.stderr, sep="")
    sys.exit(done.returncode)
