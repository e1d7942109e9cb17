"""The recipe's settings that differ from the defaults, for the report."""

from collections.abc import Iterator, Mapping
from typing import Any

from training.recipe import Recipe


def changed_settings(recipe: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    """Name, value and default of each setting that differs from its default; nested ones as `promise.confidence`.

    Args:
        recipe: as in the manifest's provenance.
    """
    defaults = dict(_flat(Recipe().model_dump(mode="json")))
    return tuple(
        (name, str(value), str(defaults.get(name))) for name, value in _flat(recipe) if value != defaults.get(name)
    )


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
