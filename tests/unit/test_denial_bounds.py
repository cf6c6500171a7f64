"""No text is too long, too strange or too hostile for `explain`: steps are counted, not seconds."""

from __future__ import annotations

import importlib
import itertools
import json
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import pytest

import cado_ops.verdict.denial as package
from cado_ops.verdict.denial import events, explain, read
from cado_ops.verdict.denial.lookup import PHRASES
from tests.unit.regex_steps import Counter, TooManySteps, attacks, calls_of, can_be_slow

# Steps a character. A pattern that looks ahead some hundred characters from each position keeps below; one whose
# repeats get into each other's way takes hundreds of thousands.
STEPS = 1_500
LENGTH = 500
_ONLY_AT_IMPORT = ("_LITERAL",)


def _patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    for found in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{found.name}")
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern) and name not in _ONLY_AT_IMPORT:
                yield f"{found.name}.{name}", value
    for phrase in PHRASES:
        yield f"phrase {phrase.pattern.pattern[:40]}", phrase.pattern


PATTERNS = dict(_patterns())


VARYING = {name: pattern for name, pattern in PATTERNS.items() if can_be_slow(pattern)}


@pytest.mark.parametrize("pattern", VARYING.values(), ids=VARYING.keys())
def test_every_pattern_takes_few_steps_whatever_the_text(pattern: re.Pattern[str]):
    for text in itertools.islice(attacks(pattern, LENGTH), 24):
        Counter(pattern, text, STEPS * len(text)).search_everywhere()


@pytest.mark.parametrize("bad", [r"(?:a{1,9}){1,9}b", r"a{0,400}a{0,400}b", r"\[(?:x|[^\]]{0,400})[^\]]{0,2000}\]"])
def test_the_count_finds_patterns_that_are_slow(bad: str):
    def attacked() -> None:
        for text in attacks(re.compile(bad), LENGTH):
            Counter(re.compile(bad), text, STEPS * len(text)).search_everywhere()

    with pytest.raises((TooManySteps, RecursionError)):
        attacked()


def test_the_count_matches_as_python_does():
    for pattern in VARYING.values():
        for text in itertools.islice(attacks(pattern, 60), 4):
            counter = Counter(pattern, text, 10**7)
            found: list[int] = []
            counter._sequence(list(counter._tree), 0, 0, lambda end, found=found: not found.append(end))
            match = pattern.match(text)
            assert (found[0] if found else None) == (match.end() if match else None), (pattern.pattern, text)


def test_what_a_phrase_is_looked_up_by_is_in_whatever_it_matches():
    for pattern, literal, _ in PHRASES:
        if literal:
            # Without it the pattern cannot match: it stands in it outside of anything optional.
            assert literal in pattern.pattern
            assert not re.search(rf"{literal}\?", pattern.pattern)


def _calls(text: str) -> int:
    return calls_of(lambda: explain(read(text)))


HOSTILE = {
    "braces": "{",
    "brackets": "[[",
    "half objects": '{"a":',
    "half strings": '{"a":"',
    "half objects with numbers": '{"a":1,',
    "nested lists": "[{",
    "users": "User: ",
    "sentences": "User: x is not authorized to perform: ssm:SendCommand on resource: ",
    "half sentences": "is not authorized to perform: ssm:SendCommand because no ",
    "frames": "An error occurred (X) when calling the ",
    "explicit": " with an explicit deny in a ",
    "quotes": '"',
    "backslashes": "\\",
    "escaped quotes": '\\"',
    "blanks": " ",
    "line ends": "\n",
    "blanks and line ends": " \n",
    "bars": "│ ",
    "escapes": "\x1b[",
    "entities": "&amp",
    "instances": "Instances [[i-0123456789abcdef0, ",
    "encoded": "Encoded authorization failure message: ",
    "codes": "AccessDeniedException: ",
    "one word": "A",
    "status": "StatusDetails: Failed ",
    "surrogates": "\ud800",
    "nul": "\0",
    "right to left": "\u202e",
}


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE.keys())
def test_work_grows_with_the_text_and_no_faster(piece: str):
    sizes = (2_000, 4_000, 8_000)
    small, middle, large = (_calls(piece * (size // len(piece))) for size in sizes)
    assert middle <= 2.3 * small + 3_000
    assert large <= 2.3 * middle + 3_000


def test_a_long_log_is_read():
    line = "2026-11-23T17:45:01Z INFO nothing happened on i-0123456789abcdef0\n"
    [told] = explain(read(line * (2**18 // len(line))))
    assert told.kind == "unknown"


def test_a_failed_decoding_is_never_far_from_the_beginning_of_what_it_was_given(monkeypatch: pytest.MonkeyPatch):
    """Python's decoder counts the lines up to its error: in C, where no calls are counted, and for each brace."""
    real, far = events._decoder, []

    class Noting:
        def raw_decode(self, text: str, start: int) -> Any:
            far.append(start)
            return real.raw_decode(text, start)

    monkeypatch.setattr(events, "_decoder", Noting())
    event = json.dumps({"errorCode": "AccessDenied", "errorMessage": "x", "eventName": "GetRole"})
    text = '{"a":1,' * 40_000 + event
    assert [text[start:end] for start, end, _ in events._documents(text)] == [event]
    assert len(far) > 40_000
    assert max(far) <= 64 * 1024


def test_json_deeper_than_any_log():
    for text in (
        '{"a":' * 20_000 + "1" + "}" * 20_000,
        "[" * 20_000 + "{}" + "]" * 20_000,
        '{"a": ' + "9" * 10_000 + "}",
    ):
        assert [each.kind for each in explain(read(text))] == ["unknown"]


def test_json_in_json_in_json():
    text = "An error occurred (ExpiredToken) when calling the GetRole operation: x"
    for _ in range(6):
        text = json.dumps({"m": text})
    assert [each.kind for each in explain(read(text))] == ["credentials-expired"]
