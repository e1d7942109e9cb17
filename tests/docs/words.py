"""Splits a shell statement into simple commands as words, as far as the documentation needs it."""

import re
import shlex
from collections.abc import Iterator, Sequence

Words = tuple[str, ...]

_HERE = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?([^\n]*)\n.*?^\1$", re.DOTALL | re.MULTILINE)
_OPERATORS = frozenset(";|&()")
_KEYWORDS = frozenset({"until", "while", "do", "done", "if", "then", "else", "fi", "for", "!", "{", "}", "exec", "$"})
_ASSIGNMENT = re.compile(r"\w+=.*", re.DOTALL)


def simple_commands(statement: str) -> Iterator[Words]:
    """Each command of pipes, lists and loops; without keywords, leading assignments, redirections and comments."""
    lexer = shlex.shlex(_HERE.sub(r"\2", statement).replace("\\\n", " "), posix=True, punctuation_chars=";|&()<>\n")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    words: list[str] = []
    for token in [*lexer, ";"]:
        if set(token) <= _OPERATORS | {"\n"}:
            yield from _command(words)
            words = []
        else:
            words.append(token)


def _command(words: Sequence[str]) -> Iterator[Words]:
    kept = list(_without_redirections(words))
    if kept[:1] == ["for"]:
        return
    while kept and (kept[0] in _KEYWORDS or _ASSIGNMENT.fullmatch(kept[0])):
        kept.pop(0)
    if kept:
        yield tuple(kept)


def _without_redirections(words: Sequence[str]) -> Iterator[str]:
    skip = False
    for number, word in enumerate(words):
        following = words[number + 1] if number + 1 < len(words) else ""
        if skip:
            skip = False
        elif set(word) <= {"<", ">", "&"}:
            skip = True
        elif not (word.isdigit() and following.startswith(">")):
            yield word
