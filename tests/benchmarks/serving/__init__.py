"""Our service and its peers side by side: `python -m tests.benchmarks.serving --help`. Writes `docs/benchmarks.md`."""
