"""Settings from the environment and from a TOML file, below the flags.

For each option the flag goes before the environment, and that before the file. Options of one ``group``
(what the scope is) go together: whatever layer gives any of them silences the layers below for all of them,
so that ``--account X`` is never widened by ``org = true`` in a file. A ``flag_only`` option is read from
the flag alone, because a forgotten variable or file must not confirm, widen or reveal anything.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from cado_ops.arns import plain, shown, split_commas
from cado_ops.errors import UsageError
from cado_ops.shell import as_path, quote

ENV_PREFIX = "CADO_OPS_"
CONFIG_ENV = "CADO_OPS_CONFIG"
MAX_FILE = 256 * 1024
MAX_DOTS = 100  # of a line

_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")
_KINDS = {
    "str": "a string",
    "int": "a whole number",
    "bool": "true or false",
    "list": "a string or a list of strings",
}


@dataclass(frozen=True, slots=True)
class Option:
    """One option: ``role-name`` is the flag ``--role-name``, CADO_OPS_ROLE_NAME and the key ``role_name``."""

    name: str
    kind: Literal["str", "int", "bool", "list"] = "str"
    flag_only: bool = False
    group: str | None = None

    @property
    def flag(self) -> str:
        return f"--{self.name}"

    @property
    def env(self) -> str:
        return ENV_PREFIX + self.key.upper()

    @property
    def key(self) -> str:
        return self.name.replace("-", "_")


class Merged(NamedTuple):
    """An option's value and where it comes from: a flag, a variable, or file, line and key; (None, "") if
    nowhere.

    ``value`` is of the option's kind: str, int, bool or list[str] (a flag's value is passed through as it
    is).
    """

    value: Any
    source: str


NOWHERE = Merged(None, "")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the layers below the flags say. ``warnings`` are lines for the caller to print."""

    options: Mapping[str, Option]
    env: Mapping[str, Merged]
    file: Mapping[str, Merged]
    warnings: tuple[str, ...] = ()
    path: Path | None = None

    def merge(self, flags: Mapping[str, Any]) -> dict[str, Merged]:
        """Every option by name. Of the command line's ``flags``, None and an empty list mean not given."""
        given = {
            name: Merged(value, self.options[name].flag)
            for name, value in flags.items()
            if value is not None and value != [] and value != ()
        }
        merged: dict[str, Merged] = {}
        silenced: set[str] = set()
        for layer in (given, self.env, self.file):
            for name, value in layer.items():
                if self.options[name].group not in silenced:
                    merged.setdefault(name, value)
            silenced |= {group for name in layer if (group := self.options[name].group)}
        return {name: merged.get(name, NOWHERE) for name in self.options}

    def value(self, name: str, flag_value: Any) -> Merged:
        """One option that stands alone. One of a group depends on the flags of all: that takes `merge`."""
        if self.options[name].group:
            raise ValueError(f"{name} is one of a group: use merge()")
        return self.merge({name: flag_value})[name]


def find_config(
    flag: str | None, environ: Mapping[str, str], *, platform: str = sys.platform
) -> tuple[Path | None, bool]:
    """The settings file and whether it was named: ``--config``, CADO_OPS_CONFIG, or the default of the
    system.

    Never one in the current folder: where the variables of the system hold no absolute path, there is no
    default.
    """
    if named := flag or environ.get(CONFIG_ENV):
        return Path(named), True
    if platform == "win32":
        folders = [environ.get("APPDATA", "")]
    else:
        # XDG Base Directory Specification: a relative path is ignored. The same on macOS.
        home = environ.get("HOME", "")
        folders = [environ.get("XDG_CONFIG_HOME", ""), f"{home}/.config" if home else ""]
    for folder in folders:
        if Path(folder).is_absolute():
            return Path(folder, "cado-ops", "config.toml"), False
    return None, False


def load(
    options: Iterable[Option], environ: Mapping[str, str], config_path: Path | None, explicit: bool = False
) -> Settings:
    """Reads the layers below the flags. ``options`` are those of all commands, for a file serves all of them.

    A missing file is an error only where it was named (``explicit``).
    """
    known = {option.name: option for option in options}
    env, warnings = _from_env(list(known.values()), environ)
    text = _read(config_path, explicit) if config_path else None
    file = {} if text is None or config_path is None else _from_toml(text, plain(str(config_path)), known)
    return Settings(known, env, file, tuple(warnings), config_path if text is not None else None)


def _from_env(options: Sequence[Option], environ: Mapping[str, str]) -> tuple[dict[str, Merged], list[str]]:
    by_env = {option.env: option for option in options}
    usable = [option.env for option in options if not option.flag_only]
    values: dict[str, Merged] = {}
    warnings: list[str] = []
    for variable in sorted(environ):
        if not variable.startswith(ENV_PREFIX) or variable == CONFIG_ENV:
            continue
        option = by_env.get(variable)
        if option is None:
            meant = _suggestion(variable, usable)
            warnings.append(f"{plain(variable)} is ignored: there is no such setting{meant}")
        elif option.flag_only:
            warnings.append(f"{variable} is ignored: {option.flag} is a flag only")
        elif environ[variable] != "":  # set to nothing is not set, as everywhere in a shell
            values[option.name] = Merged(_from_text(option, environ[variable], variable), variable)
    return values, warnings


def _from_text(option: Option, text: str, where: str) -> str | int | bool | list[str]:
    """The value of a variable, by the option's kind."""
    match option.kind:
        case "bool":
            word = text.strip().lower()
            if word not in _TRUE + _FALSE:
                raise UsageError(f"{where}: {shown(text)} is not one of {', '.join(_TRUE + _FALSE)}")
            return word in _TRUE
        case "int":
            if not re.fullmatch("-?[0-9]{1,9}", text.strip()):
                raise UsageError(f"{where}: {shown(text)} is no whole number")
            return int(text.strip())
        case "list":
            return split_commas([text], where)
        case _:
            return text


def _read(path: Path, explicit: bool) -> str | None:
    """The file's text, or None where there is none and none was asked for."""
    where = plain(str(path))
    if str(path) == os.devnull:
        return ""  # --config /dev/null: no settings from any file
    try:
        # Opened first and looked at then, so that what is checked is what is read; no waiting for a pipe.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (FileNotFoundError, NotADirectoryError):
        if not explicit:
            return None
        raise UsageError(f"{where}: there is no such settings file") from None
    except OSError as error:
        raise UsageError(f"{where}: cannot be read ({error.strerror or type(error).__name__})") from None
    except ValueError:
        raise UsageError(f"{where}: is no path") from None
    try:
        _check_file(os.fstat(descriptor), path)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(MAX_FILE + 1)
    except OSError as error:
        raise UsageError(f"{where}: cannot be read ({error.strerror or type(error).__name__})") from None
    finally:
        os.close(descriptor)
    if len(content) > MAX_FILE:
        raise UsageError(f"{where}: longer than {MAX_FILE // 1024} KiB, which no settings file should be")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{where}:{line}: no UTF-8 text") from None


def _check_file(status: os.stat_result, path: Path) -> None:
    """Whoever can write this file can choose the roles and accounts that we work in."""
    where = plain(str(path))
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"{where}: is no regular file")
    if os.name != "posix":
        return
    if status.st_uid not in (0, os.geteuid()):
        raise UsageError(
            f"{where}: belongs to another user (uid {status.st_uid}) and is not read",
            "Name a file of your own with --config.",
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        hint = f"chmod go-w {quote(as_path(str(path)))}" if where == str(path) else None
        raise UsageError(f"{where}: other users may write to it (mode {status.st_mode & 0o777:o})", hint)


def _from_toml(text: str, where: str, options: Mapping[str, Option]) -> dict[str, Merged]:
    _check_dots(text, where)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason, _, place = " ".join(str(error).split()).partition(" (at ")
        named = re.match("line ([0-9]+)", place)
        last = text.count("\n") + 1
        raise UsageError(f"{where}:{named[1] if named else last}: no valid TOML ({reason})") from None
    except RecursionError:
        raise UsageError(f"{where}: TOML nested too deep") from None
    except ValueError:  # a number of thousands of digits
        raise UsageError(f"{where}: a number too long to be read") from None
    values: dict[str, Merged] = {}
    for key, value in table.items():
        number = _line_of(key, text)
        at = f"{where}:{number}" if number else where
        option = options.get(key.replace("_", "-"))
        if option is None:
            raise _unknown_key(key, value, at, options.values())
        if option.flag_only:
            raise UsageError(f"{at}: {shown(key)} has no place in a file: {option.flag} is a flag only")
        if option.name in values:
            raise UsageError(f"{at}: {option.key} is given twice, with dashes and with underscores")
        source = f"{at} ({key})"
        values[option.name] = Merged(_from_value(option, value, source), source)
    return values


def _check_dots(text: str, where: str) -> None:
    """Of a name of n parts tomllib makes n tuples, up to n long: a line of a million dots would fill any memory."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > MAX_DOTS:
            raise UsageError(
                f"{where}:{number}: more than {MAX_DOTS} dots", "Write a long list over several lines."
            )


def _line_of(key: str, text: str) -> int | None:
    match = re.search(rf"""^[ \t]*(?:\[[ \t]*)?["']?{re.escape(key)}["']?[ \t]*[=.\]]""", text, re.MULTILINE)
    return text.count("\n", 0, match.end()) + 1 if match else None


def _unknown_key(key: str, value: object, at: str, options: Iterable[Option]) -> UsageError:
    if key == "config":
        return UsageError(f"{at}: the settings file cannot be named in itself", f"Use --config or {CONFIG_ENV}.")
    if isinstance(value, dict):
        return UsageError(
            f"{at}: a table {shown(key)}, and the settings are flat keys", 'Such as: region = "eu-west-1"'
        )
    usable = [option.key for option in options if not option.flag_only]
    return UsageError(f"{at}: there is no setting {shown(key)}{_suggestion(key.replace('-', '_'), usable)}")


def _from_value(option: Option, value: object, where: str) -> str | int | bool | list[str]:
    """The value of a TOML key, by the option's kind. An array's strings are taken with their commas."""
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, str) and "\0" in each:
            # Neither a command line nor a variable can hold one, and no path may.
            raise UsageError(f"{where}: a NUL character in {shown(each)}")
    match option.kind, value:
        case "str", str():
            return value
        case "bool", bool():
            return value
        case "int", int() if not isinstance(value, bool) and abs(value) < 10**9:
            return value
        case "list", str():
            return split_commas([value], where)
        case "list", list() if all(isinstance(each, str) and each.strip() for each in value):
            return list(value)
    quotes = option.kind in ("str", "list") and isinstance(value, int | list) and not isinstance(value, bool)
    raise UsageError(
        f"{where}: {_KINDS[option.kind]} is expected, not {shown(value)}",
        "Strings stand in quotes, account ids too." if quotes else None,
    )


def _suggestion(name: str, among: Iterable[str]) -> str:
    """What a mistyped name may have meant. The prefix that all variables have would make them all look alike."""
    by_rest = {each.removeprefix(ENV_PREFIX): each for each in among}
    close = difflib.get_close_matches(name.removeprefix(ENV_PREFIX), by_rest, n=1)
    return f"; did you mean {by_rest[close[0]]}?" if close else ""
