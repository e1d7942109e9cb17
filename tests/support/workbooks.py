"""A small writer of xlsx files, so that the tests need no further library."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

_TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def write_workbook(
    path: Path, sheets: Mapping[str, Sequence[Sequence[object]]], merged: str = "", hidden: str = ""
) -> Path:
    """`merged` is a range of each sheet (`A2:A5`), `hidden` a sheet's name."""
    numbers = range(1, len(sheets) + 1)
    states = {name: ' state="hidden"' if name == hidden else "" for name in sheets}
    named = "".join(
        f'<sheet name="{name}" sheetId="{i}" r:id="r{i}"{states[name]}/>'
        for i, name in zip(numbers, sheets, strict=True)
    )
    related = "".join(
        f'<Relationship Id="r{i}" Type="{_RELATION}/worksheet" Target="worksheets/sheet{i}.xml"/>' for i in numbers
    )
    parts = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="{_TYPES}.worksheet+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPES}.sheet.main+xml"/></Types>',
        "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="r0" Type="{_RELATION}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATION}"><sheets>{named}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f"{related}</Relationships>",
        **{
            f"xl/worksheets/sheet{i}.xml": _sheet(rows, merged)
            for i, rows in zip(numbers, sheets.values(), strict=True)
        },
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, '<?xml version="1.0" encoding="UTF-8"?>' + text)
    return path


def _sheet(rows: Sequence[Sequence[object]], merged: str) -> str:
    lines = [
        f'<row r="{number}">'
        + "".join(_cell(f"{chr(65 + place)}{number}", cell) for place, cell in enumerate(row))
        + "</row>"
        for number, row in enumerate(rows, start=1)
    ]
    ranges = f'<mergeCells count="1"><mergeCell ref="{merged}"/></mergeCells>' if merged else ""
    return f'<worksheet xmlns="{_MAIN}"><sheetData>{"".join(lines)}</sheetData>{ranges}</worksheet>'


def _cell(place: str, value: object) -> str:
    if isinstance(value, int | float):
        return f'<c r="{place}"><v>{value}</v></c>'
    return (
        f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(str(value))}</t></is></c>' if value else ""
    )
