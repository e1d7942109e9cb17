"""What labels mean, for people: the tables `[FIELD.descriptions]` of the labels file that training reads too."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from service.desk.session import DeskError


def descriptions(path: Path | None) -> Mapping[str, Mapping[str, str]]:
    """By field and label.

    Raises:
        DeskError: the file cannot be read, or has another form; the message is one line.
    """
    if path is None:
        return {}
    try:
        tables = tomllib.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        cause = error.strerror if isinstance(error, OSError) else f"not TOML: {error}"
        raise DeskError(f"{path}: the labels file cannot be read ({cause})") from None
    found: dict[str, dict[str, str]] = {}
    for field, table in tables.items():
        texts = table.get("descriptions", {}) if isinstance(table, dict) else None
        if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
            raise DeskError(f'{path}: [{field}.descriptions] must have lines such as "billing" = "what it is about"')
        found[field] = {" ".join(label.split()): " ".join(text.split()) for label, text in texts.items()}
    return found
