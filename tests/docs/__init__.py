"""Tests of the documentation: every fenced block of README.md and docs/ is run, parsed or checked against the
product."""
