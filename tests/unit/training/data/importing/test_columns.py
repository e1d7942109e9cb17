"""Detection of each role's column by names and values, and the questions that remain."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from models.errors import TicketRouterError
from training.data.contract import Checked, check_tables
from training.data.formats.table import Record, Table
from training.data.importing.plan import ReadOptions
from training.data.names import columns_named, known_names, plain_name

TEAMS = ("hardware", "network", "billing")


def export(header: str, *cells: str, rows: int = 30) -> Checked:
    """Rows of these cells; `team` stands for a team, `kind` for another label, `n` for the row's number."""
    columns = header.split(",")
    words = [{"team": TEAMS[n % 3], "kind": f"kind {n % 4}", "n": str(n), "text": f"text {n}"} for n in range(rows)]
    records = [
        Record(line, {name: word.get(cell, cell) for name, cell in zip(columns, cells, strict=True)})
        for line, word in enumerate(words, start=2)
    ]
    return check_tables([Table(Path("t.csv"), tuple(columns), records)], ("department",), ReadOptions())


def question(header: str, *cells: str) -> str:
    with pytest.raises(TicketRouterError) as caught:
        export(header, *cells)
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize("name", ["Created At", "created_at", "createdAt", "CREATED-AT", "créated at"])
def test_spellings_of_a_header_are_one_name(name: str) -> None:
    """Case, accents, blanks, underscores and camelCase are ignored."""
    assert plain_name(name) == "createdat"


@pytest.mark.parametrize(
    ("header", "cells", "columns"),
    [
        ("Ticket ID,Subject,Description,Group,Type", "n,text,text,team,Incident", "id,subject,body,department"),
        (
            "number,short_description,description,assignment_group,category",
            "n,text,text,team,n",
            "id,subject,body,department",
        ),
        ("Number,Short description,Description,Assignment group", "n,text,text,team", "id,subject,body,department"),
        ("Issue key,Summary,Description,Component/s", "n,text,text,team", "id,subject,body,department"),
        ("CaseNumber,Subject,Description,Case Owner", "n,text,text,team", "id,subject,body,department"),
        ("Ticket ID,Ticket name,Ticket description,Pipeline", "n,text,text,team", "id,subject,body,department"),
        ("Conversation ID,Subject,First message,Team assigned", "n,text,text,team", "thread,subject,body,department"),
        ("Ticket#,Betreff,Beschreibung,Kategorie", "n,text,text,team", "id,subject,body,department"),
        ("Ticketnummer,Titel,Nachricht,Zuständige Gruppe", "n,text,text,team", "id,subject,body,department"),
        ("Titre,Description,Attribué à - Groupe de techniciens", "text,text,team", "subject,body,department"),
        ("Asunto,Descripción,Grupo asignado", "text,text,team", "subject,body,department"),
        ("Assunto,Descrição,Setor", "text,text,team", "subject,body,department"),
        ("id,Subject,Queue", "n,text,team", "id,subject,department"),
        ("#,Tracker,Subject,Description", "n,team,text,text", "id,department,subject,body"),
        ("bug_id,short_desc,component", "n,text,team", "id,subject,department"),
        ("ticket.subject,ticket.body,ticket.group", "text,text,team", "subject,body,department"),
    ],
)
def test_headers_of_the_tools_are_known(header: str, cells: str, columns: str) -> None:
    """Each tool's own column names, in five languages, are recognised without a mapping."""
    found = export(header, *cells.split(","))
    wanted = dict(zip(columns.split(","), header.split(","), strict=False))
    assert {role: found.columns[role] for role in wanted} == wanted or set(wanted.values()) == set(
        found.columns.values()
    )
    assert found.faults == ()


@pytest.mark.parametrize(
    ("header", "cells"),
    [
        ("subject,assignment_group,category", ("text", "team", "kind")),
        ("subject,Team,Queue", ("text", "team", "kind")),
        ("Titre,Groupe de techniciens,Catégorie", ("text", "team", "kind")),
        ("Subject,Group,Type", ("text", "team", "kind")),
    ],
)
def test_two_possible_department_columns_are_refused_with_a_choice(header: str, cells: Sequence[str]) -> None:
    """With values of both, and the option for either."""
    asked = question(header, *cells)
    assert "two columns could be the department: " in asked
    assert "(hardware, network, billing)" in asked
    assert "(kind 0, kind 1, kind 2)" in asked
    assert asked.count("--column department=") == 2


@pytest.mark.parametrize(
    ("header", "cells"),
    [
        ("subject,assignment_group,category", ("text", "team", "n")),
        ("subject,assignment_group,category", ("text", "team", "")),
        ("subject,assignment_group,category", ("text", "team", "team")),
        ("subject,Group,Type", ("text", "team", "Question")),
    ],
)
def test_a_column_without_other_labels_is_no_candidate(header: str, cells: Sequence[str]) -> None:
    """Numbers, nothing, the same values, or types that every tool has."""
    assert set(export(header, *cells).columns.values()) >= {header.split(",")[1]}


def test_a_column_named_department_is_preferred_and_this_is_reported() -> None:
    """`department` is the contract's name; the other column is named."""
    found = export("subject,department,category", "text", "team", "kind")
    assert found.columns["department"] == "department"
    assert any("'category' (kind 0, kind 1, kind 2) could be meant too" in note for note in found.notes)


def test_without_a_known_label_column_similar_columns_are_shown() -> None:
    """The hint has their values and the option."""
    assert "these look like labels: 'desk' (hardware, network, billing): --column department=desk" in question(
        "subject,desk", "text", "team"
    )


def test_a_column_that_is_no_date_or_split_is_not_read_as_one() -> None:
    """Its name alone does not make it one; this is reported."""
    found = export("subject,team,date,split", "text", "team", "soon", "left")
    assert "created_at" not in found.columns
    assert "split" not in found.columns
    assert sum("is not read as" in note for note in found.notes) == 2


def test_the_text_is_the_longer_of_two_candidates() -> None:
    """A short remark beside a long description is not the text."""
    found = export("subject,message,description,team", "text", "ok", "a long description of what is broken", "team")
    assert found.columns["body"] == "description"


def test_a_header_is_distinguished_from_a_row() -> None:
    """Names of roles mark a header; a row of ticket data has none."""
    assert known_names(["Subject", "Created at", "Floor"]) == 2
    assert known_names(["printer is broken", "2026-01-02", "hardware"]) == 0
    assert columns_named("subject", ["Short description", "Title"]) == ["Title", "Short description"]


@pytest.mark.parametrize(
    "name", ["Last resolver queue", "ticket.group.name", "Custom field (Team)", "currentSupportTeam"]
)
def test_a_column_with_a_team_word_in_its_name_is_the_department(name: str) -> None:
    assert export(f"subject,body,{name}", "text", "text", "team").columns["department"] == name


def test_a_team_column_beside_a_topic_is_asked_about_and_the_customers_group_is_not() -> None:
    assert "two columns" in question("subject,body,Last resolver queue,category", "text", "text", "team", "kind")
    assert (
        export("subject,body,customer group,category", "text", "text", "kind", "team").columns["department"]
        == "category"
    )


def test_a_text_column_with_an_unknown_name_is_offered_and_not_read() -> None:
    found = export("subject,Freitext,team", "s", "a longer text that nothing names as the body", "team")
    assert found.columns == {"subject": "subject", "department": "team"}


def test_an_answer_is_never_the_text_and_is_not_offered_as_it() -> None:
    found = export("subject,Antwort,team", "s", "a longer text that an agent wrote", "team")
    assert found.columns == {"subject": "subject", "department": "team", "answer": "Antwort"}
