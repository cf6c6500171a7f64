"""Command lines to be pasted into a shell: every word arrives as it is, and all of it can be seen. Pure."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Iterable

from cado_ops.visible import is_seen, sanitize

# What a shell would act upon within dollar-single-quotes, or a history expansion might. POSIX.1-2024 has these
# quotes ("Shell Command Language", 2.2.4); bash, zsh, ksh and busybox have long had them.
_ACTED_UPON = re.compile(r"['\\!]")


def quote(word: str) -> str:
    """One word. What cannot be seen, or a terminal would act upon while it is pasted, stands as ``$'\\012'``."""
    if sanitize(word) == word:
        return shlex.quote(word)
    return f"$'{''.join(map(_octal, word))}'"


def _octal(char: str) -> str:
    """A character as it may stand in dollar-single-quotes: itself, or its bytes, three digits each."""
    if is_seen(char) and not _ACTED_UPON.match(char) and unicodedata.category(char)[0] != "M":
        return char
    try:
        raw = char.encode("utf-8", "surrogateescape")  # bytes of a file's name that are no UTF-8
    except UnicodeEncodeError:
        raw = char.encode("utf-8", "surrogatepass")
    return "".join(f"\\{byte:03o}" for byte in raw)


def join(words: Iterable[str]) -> str:
    return " ".join(map(quote, words))


def as_path(name: str) -> str:
    """A file's name as an argument that is no option."""
    return f"./{name}" if name.startswith("-") and name != "-" else name
