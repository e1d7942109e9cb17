"""What strangers wrote, where people look at it: terminals, the report's page, the documentation's page, tables."""

import csv
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from models.printable import printable, printed
from tests.support.process import ROOT, run_cli
from tests.support.rows import write_csv
from tests.support.tiny import SAMPLES, rewritten
from tests.unit.training.report.test_report import Links, entry, record
from training.cli.app import run
from training.commands.compare import compare, write_comparison
from training.data.source import TicketFile
from training.recipe import Recipe
from training.report import render_report
from training.sample import make_tickets, write_tickets

HOSTILE = (
    "\x1b[31mred\x1b[2J",  # colours, and clears the screen
    "\x1b]0;title\x07",  # names the window
    "\x1b]8;;http://x\x1b\\link",  # a link that says something else
    "\x9b31mred",  # the same in one character
    "a\rb\x08c",  # writes over what stood there
    "\u202egro.elpmaxe\u202c",  # backwards
    "tags \U000e0041\U000e0042",  # invisible
)
"""Labels, columns and file names that a terminal would act on."""


def acted_on(text: str) -> list[str]:
    """What a terminal would act on, or not show."""
    return [char for char in text if not char.isprintable() and char not in "\r\n"]


def on_a_terminal(*arguments: str) -> str:
    """What `python -m …` writes where standard output and error are a terminal; colours of our own are off."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "300"}
    with subprocess.Popen(
        [sys.executable, "-m", *arguments], cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
    ):
        os.close(theirs)
        told = b""
        while piece := _piece(ours):
            told += piece
    os.close(ours)
    return told.decode()


def _piece(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # so Linux says that nobody writes any more
        return b""


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_terminal_acts_on_is_spelled_out(text: str) -> None:
    """As JSON would spell it: in JSON the text itself is still read back."""
    assert acted_on(printable(text)) == []
    assert json.loads(printable(json.dumps(text, ensure_ascii=False))) == text


def test_a_label_cannot_add_a_line() -> None:
    """Each line stays one, whatever stands in it; ordinary words of any language stay as they are."""
    assert printed(["a\nverdict: ready", "Größe — 大きさ ✓"]) == "a\\nverdict: ready\nGröße — 大きさ ✓"


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Closed tickets whose departments, languages and file name are hostile."""
    path = tmp_path_factory.mktemp("export") / f"export{HOSTILE[0]}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["subject", "body", "department", "language", HOSTILE[1]])
        for number in range(70):
            label = HOSTILE[number % len(HOSTILE)]
            rows.writerow([f"number {number}", f"text {number} and {number * 7}", label, label, "x"])
    return path


def test_training_check_shows_hostile_labels_harmless(export: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """On a real terminal, and as JSON; the labels are there, spelled out."""
    asked = ("check", "--data", str(export))
    assert run([*asked, "--json"]) == 2  # too few rows
    for told in (on_a_terminal("training", *asked), capfd.readouterr().out):
        assert acted_on(told) == []
        assert "\\u202egro.elpmaxe\\u202c" in told


def test_an_error_about_a_hostile_name_is_harmless(export: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Of a file or a column that is not there, of a field that cannot be, of an option that is none."""
    asked = (
        ("--data", str(export) + HOSTILE[1]),
        ("--data", str(export), "--column", f"body={HOSTILE[3]}"),
        ("--data", str(export), "--field", HOSTILE[4]),
        (f"--{HOSTILE[5]}",),
    )
    assert [run(["check", *arguments]) for arguments in asked] == [2] * 4
    told = [*capfd.readouterr().err.splitlines(), on_a_terminal("service", f"--{HOSTILE[0]}")]
    assert [each[:7] for each in told] == ["error: "] * 5
    assert [acted_on(each) for each in told] == [[]] * 5


@pytest.fixture(scope="module")
def hostile_bundle(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle with hostile names for all its labels."""
    return renamed(tiny_bundle_path, tmp_path_factory.mktemp("hostile"), HOSTILE)


def renamed(bundle: Path, store: Path, names: Sequence[str]) -> Path:
    """A copy of the tiny bundle with these labels, the departments' first."""
    manifest, golden = (bundle / name for name in ("manifest.json", "golden.jsonl"))
    fields: list[dict[str, Any]] = json.loads(manifest.read_text())["models"][0]["fields"]
    rows = golden.read_text()
    for number, label in enumerate(label for field in fields for label in field["labels"]):
        rows = rows.replace(json.dumps(label["name"]), json.dumps(names[number]))
        label["name"] = names[number]
    return rewritten(bundle, store, fields=fields, files={"golden.jsonl": rows.encode()})


def test_a_decision_on_a_terminal_shows_hostile_labels_harmless(hostile_bundle: Path) -> None:
    """As a table, and as plain lines in a pipe, and as JSON, which still gives the label itself."""
    asked = ("route", "--bundle", str(hostile_bundle), "--body", "where is my parcel?")
    table = on_a_terminal("service", *asked)
    assert acted_on(table) == []
    assert "\\u001b" in table
    plain, told = run_cli(*asked).stdout, run_cli(*asked, "--json").stdout
    assert acted_on(plain) == acted_on(told) == []
    assert {one["department"] for one in json.loads(told)["candidates"]} <= set(HOSTILE)


PAGE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}</style></svg>"
"""A label, a file's name or a path that would be a page."""


def policies(page: str) -> list[str]:
    return re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)


def test_where_a_bundle_comes_from_is_only_shown() -> None:
    """Names of files and of packages open no tag in the report, and its policy lets nothing of elsewhere run."""
    pages = []
    for name in ("harmless", PAGE):
        data = {"file": name, "sha256": "f", "labels": {"file": name, "sha256": name}}
        origin = {"data": data, "base": {"sha256": name, "commit": name}, "code": name}
        provenance = origin | {"packages": {name: name}, "recipe": Recipe().model_dump(mode="json")}
        pages.append(render_report(name, [entry()], record(), provenance))
    plain, tried = map(Links, pages)
    assert plain.tags == tried.tags
    (policy,) = policies(pages[1])
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2]


def test_labels_of_compared_bundles_are_only_shown(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """Two real bundles whose labels are pages, on tickets that they answer differently."""
    hostile = renamed(tiny_bundle_path, tmp_path / "store", [f"{PAGE}{number}" for number in range(6)])
    path = write_csv(tmp_path / f"{PAGE[:8]}.csv", [(f"{subject} {body}", f"{PAGE}0") for subject, body in SAMPLES])
    write_comparison(compare(tiny_bundle_path, hostile, TicketFile(path)), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "alert(1)" in page
    assert not {"script", "img"} & set(Links(page).tags)
    (policy,) = policies(page)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


@pytest.mark.parametrize("seed", range(3))
def test_no_cell_of_a_written_table_begins_a_formula(tmp_path: Path, seed: int) -> None:
    """`training sample` writes the one CSV there is, for training and out of our own words: no spreadsheet computes
    one of its cells."""
    path = tmp_path / "tickets.csv"
    write_tickets(make_tickets(500, seed), path)
    with path.open(encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))] == []
