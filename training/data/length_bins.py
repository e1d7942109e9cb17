"""Slices of texts by length, for `check` and for the report. Apart from `evaluation`, which imports scipy."""

_LENGTHS = (32, 64, 128, 256)


def length_slice(text: str) -> str:
    """A text's slice by its number of words, with names that sort by length: `  1-32 words` … `over 256 words`."""
    words = len(text.split())
    below = 0
    for most in _LENGTHS:
        if words <= most:
            return f"{below + 1:>3}-{most} words"
        below = most
    return f"over {below} words"
