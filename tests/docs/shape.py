"""Whether a response shown in the documentation has the shape of the real one."""

from collections.abc import Iterator, Mapping

OPEN = frozenset({"fields", "signals", "expected_precision"})
"""Objects whose keys come from the bundle, not from the API."""


def differences(shown: object, real: object, at: str = "answer") -> Iterator[str]:
    """Keys that only one of the two has, and values of different types; null matches any type."""
    if shown is None or real is None:
        return
    if _kind(shown) != _kind(real):
        yield f"{at} is shown as {_kind(shown)}, and is {_kind(real)}"
    elif isinstance(shown, Mapping) and isinstance(real, Mapping):
        yield from (f"{at}.{key} is shown, and is not there" for key in sorted(shown.keys() - real.keys()))
        if at.rpartition(".")[2] not in OPEN:
            yield from (f"{at}.{key} is there, and is not shown" for key in sorted(real.keys() - shown.keys()))
        for key in sorted(shown.keys() & real.keys()):
            yield from differences(shown[key], real[key], f"{at}.{key}")
    elif isinstance(shown, list) and isinstance(real, list):
        for number, (one, other) in enumerate(zip(shown, real, strict=False)):
            yield from differences(one, other, f"{at}[{number}]")


def _kind(value: object) -> str:
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return "a number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
