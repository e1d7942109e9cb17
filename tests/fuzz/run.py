"""One target under libFuzzer, in its own process: `python -m tests.fuzz.run TARGET [libFuzzer's flags]`."""

import sys

import atheris

with atheris.instrument_imports(include=["models", "service"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    name, flags = sys.argv[1], sys.argv[2:]
    atheris.Setup([sys.argv[0], *flags], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
