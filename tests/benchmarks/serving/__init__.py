"""Our service and its peers side by side: `python -m tests.benchmarks.serving --help`. docs/results.md has its tables."""
