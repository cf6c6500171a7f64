"""Foreign text made visible, and command lines that can be pasted, whatever stands in them."""

from __future__ import annotations

import json
import logging
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable

import pytest
from hypothesis import given, settings

from cado_ops import shell
from cado_ops.aws.logs import redact_sdk_logs
from cado_ops.redaction import trace
from cado_ops.visible import escape_json, sanitize
from tests.hostile_text import HOSTILE, hostile, raw, told

few = settings(max_examples=150, deadline=None)


@few
@given(hostile)
def test_what_is_shown_is_one_line_that_hides_nothing(text: str) -> None:
    shown = sanitize(text)
    assert raw(shown) == []
    assert "\n" not in shown
    assert sanitize(shown) == shown
    shown.encode()


@few
@given(hostile)
def test_what_is_shown_tells_what_it_was(text: str) -> None:
    """So that two names without a backslash never look alike."""
    text = text.replace("\\", "/")
    assert told(sanitize(text)) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("web-01 (büro) €", "web-01 (büro) €"),
        ("日本語", "日本語"),
        ("שרת خادم सर्वर", "שרת خادم सर्वर"),
        ("\U0001f600", "\U0001f600"),
        ("e\u0301a\u0323\u0302", "e\u0301a\u0323\u0302"),
        ("a\u200bb", "a\\u200bb"),
        ("a\U000e0041", "a\\U000e0041"),
        ("True\xa0", "True\\xa0"),
        ("\u0301x", "\\u0301x"),
        ("x\u0301" + "\u0301" * 5, "x" + "\u0301" * 4 + "\\u0301" * 2),
        ("\x1b\u0301", "\\x1b\\u0301"),
        ("\U0001f44d\U0001f3fd", "\U0001f44d\\U0001f3fd"),
        ("\u2764\ufe0f", "\u2764\\ufe0f"),
    ],
)
def test_letters_stay_and_what_nobody_sees_is_written_out(text: str, shown: str) -> None:
    assert sanitize(text) == shown


@few
@given(hostile)
def test_json_means_the_same_and_hides_nothing(text: str) -> None:
    made = escape_json(json.dumps({text: text}, ensure_ascii=False))
    assert json.loads(made) == {text: text}
    assert raw(made, marks=False) == []
    assert "\n" not in made


# -- command lines


def words_of(line: str) -> list[str]:
    """The words of a line, with dollar-single-quotes, which shlex does not know."""

    def decoded(found: re.Match[str]) -> str:
        inside = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), found[1].encode().decode("latin-1"))
        return shlex.quote(inside.encode("latin-1").decode("utf-8", "surrogateescape"))

    return shlex.split(re.sub(r"(?:(?<=^)|(?<= ))\$'((?:[^'\\]|\\[0-7]{3})*)'", decoded, line))


def as_argument(text: str) -> str:
    """As an argument may be: of no NUL, and of halves only those that stand for bytes."""
    return re.sub("[\0\ud800-\udc7f\udd00-\udfff]", "?", text).encode("utf-8", "surrogateescape").decode(
        "utf-8", "surrogateescape"
    )  # fmt: skip


@few
@given(hostile, hostile)
def test_a_line_to_paste_gives_the_words_back_and_can_be_seen(first: str, second: str) -> None:
    words = ["cado-ops", as_argument(first), as_argument(second)]
    line = shell.join(words)
    assert raw(line) == []
    assert sanitize(line) == line
    assert "\n" not in line
    assert words_of(line) == words


def test_a_line_of_what_can_be_seen_is_quoted_as_ever() -> None:
    words = ["cado-ops", "it's", "$(id)", "a b", "日本", "", "!!"]
    assert shell.join(words) == shlex.join(words)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_takes_every_hostile_word_as_it_is(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("empty")
    words = [as_argument(text) for text in HOSTILE.values()]
    # As typed: with history, whose marks are acted upon before anything else.
    script = f"set -o history -o histexpand\nprintf '%s\\0' {shell.join(words)}\n"
    done = subprocess.run(
        ["bash", "--norc"],
        input=script.encode(),
        capture_output=True,
        cwd=folder,
        check=True,
        env={"LC_ALL": "C.UTF-8"},
    )
    assert done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1] == words
    assert done.stderr == b""
    assert list(folder.iterdir()) == []


def test_a_file_whose_name_begins_with_a_dash_is_no_option() -> None:
    assert [shell.as_path(each) for each in ("-x.json", "--yes", "-", "a-b", "/-x")] == [
        "./-x.json", "./--yes", "-", "a-b", "/-x",
    ]  # fmt: skip


# -- tracebacks and logs


def raised(text: str) -> Exception:
    try:
        try:
            raise KeyError(text)
        except KeyError as error:
            raise RuntimeError(text) from error
    except RuntimeError as error:
        return error


def test_a_traceback_has_no_more_lines_for_what_an_error_says() -> None:
    usual = trace(raised("no")).count("\n")
    for kind, text in HOSTILE.items():
        shown = trace(raised(text))
        assert (raw(shown), shown.count("\n")) == ([], usual), kind
        assert "RuntimeError: " in shown


@pytest.mark.parametrize(
    "log",
    [
        lambda logger, text: logger.debug("Response body:\n%s", text),
        lambda logger, text: logger.debug(text),
        lambda logger, text: logger.error("it failed", exc_info=raised(text)),
    ],
    ids=["in an argument", "as the message", "in an exception"],
)
def test_the_log_of_the_sdk_is_a_line_for_each_record(
    log: Callable[[logging.Logger, str], None], caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("botocore.hostile")
    redact_sdk_logs()
    caplog.set_level(logging.DEBUG, logger.name)
    lines = set()
    for text in ("no", *HOSTILE.values()):
        caplog.clear()
        log(logger, text.replace("%", ""))
        assert raw(caplog.text) == []
        lines.add(caplog.text.count("\n"))
    assert len(lines) == 1
