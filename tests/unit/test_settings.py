"""Settings: the layers, their files, their names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cado_ops.cli.settings import Merged, Option, Settings, find_config, load
from cado_ops.errors import UsageError

OPTIONS = [
    Option("role-name"),
    Option("external-id"),
    Option("max-changes", "int"),
    Option("fail-empty", "bool"),
    Option("region", "list"),
    Option("account", "list", group="scope"),
    Option("accounts-file", group="scope"),
    Option("org", "bool", group="scope"),
    Option("ou", "list", group="scope"),
    Option("exclude-account", "list"),
    Option("yes", "bool", flag_only=True),
    Option("endpoint-url", flag_only=True),
]


def from_env(**environ: str) -> Settings:
    return load(OPTIONS, {f"CADO_OPS_{name}": value for name, value in environ.items()}, None)


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.touch(mode=0o600)
    return path


def from_toml(path: Path, text: str, **environ: str) -> Settings:
    path.write_text(text, encoding="utf-8")
    return load(OPTIONS, {f"CADO_OPS_{name}": value for name, value in environ.items()}, path)


def test_names() -> None:
    option = Option("role-name")
    assert (option.flag, option.env, option.key) == ("--role-name", "CADO_OPS_ROLE_NAME", "role_name")


def test_flag_before_environment_before_file(toml: Path) -> None:
    text = 'role_name = "file"\nexternal_id = "file"\nmax_changes = 1\nregion = ["eu-west-1"]\n'
    merged = from_toml(toml, text, ROLE_NAME="env", EXTERNAL_ID="env").merge({"role-name": "flag", "region": []})
    assert merged["role-name"] == Merged("flag", "--role-name")
    assert merged["external-id"] == Merged("env", "CADO_OPS_EXTERNAL_ID")
    assert merged["max-changes"] == Merged(1, f"{toml}:3 (max_changes)")
    assert merged["region"].value == ["eu-west-1"]
    assert merged["org"] == Merged(None, "")
    assert set(merged) == {option.name for option in OPTIONS}


def test_value_of_one_option() -> None:
    found = from_env(ROLE_NAME="env")
    assert found.value("role-name", None) == ("env", "CADO_OPS_ROLE_NAME")
    assert found.value("role-name", "flag") == ("flag", "--role-name")
    assert found.value("external-id", None) == (None, "")
    assert found.value("fail-empty", False) == (False, "--fail-empty")
    with pytest.raises(ValueError, match="group"):
        found.value("org", None)


def test_flag_only_options_come_from_flags() -> None:
    assert from_env(YES="1").merge({"yes": None})["yes"].value is None
    assert from_env().merge({"yes": True})["yes"] == (True, "--yes")


@pytest.mark.parametrize(
    ("flags", "environ", "expected"),
    [
        ({"account": ["1"]}, {}, {"account": ["1"]}),
        ({"account": ["1"]}, {"OU": "ou-1"}, {"account": ["1"]}),
        ({"account": None, "org": None}, {"OU": "ou-1", "ACCOUNT": "2"}, {"ou": ["ou-1"], "account": ["2"]}),
        ({"account": []}, {}, {"org": True, "ou": ["ou-file"]}),
        ({}, {"ORG": "no"}, {"org": False}),
        ({"org": True, "account": ["1"]}, {"ACCOUNTS_FILE": "x"}, {"org": True, "account": ["1"]}),
        ({"exclude-account": ["3"]}, {}, {"org": True, "ou": ["ou-file"]}),
    ],
)
def test_a_higher_layer_speaks_for_the_whole_scope(
    toml: Path, flags: dict[str, Any], environ: dict[str, str], expected: dict[str, Any]
) -> None:
    merged = from_toml(toml, 'org = true\nou = "ou-file"\n', **environ).merge(flags)
    scope = {name: merged[name].value for name in ("account", "accounts-file", "org", "ou")}
    assert {name: value for name, value in scope.items() if value is not None} == expected


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        *[("FAIL_EMPTY", word, True) for word in ("1", "true", "YES", "On", " on ")],
        *[("FAIL_EMPTY", word, False) for word in ("0", "false", "No", "off")],
        ("MAX_CHANGES", "250", 250),
        ("MAX_CHANGES", "-1", -1),
        ("REGION", "eu-west-1, us-east-1", ["eu-west-1", "us-east-1"]),
        ("EXTERNAL_ID", "a,b", "a,b"),
        ("EXTERNAL_ID", " ", " "),
        ("EXTERNAL_ID", "", None),
        ("REGION", "", None),
        ("FAIL_EMPTY", "", None),
    ],
)
def test_environment(variable: str, text: str, expected: Any) -> None:
    merged = from_env(**{variable: text}).merge({})
    assert merged[variable.lower().replace("_", "-")].value == expected


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("FAIL_EMPTY", "maybe"),
        ("FAIL_EMPTY", "2"),
        ("MAX_CHANGES", "many"),
        ("MAX_CHANGES", "1.5"),
        ("MAX_CHANGES", "1" * 5000),
        ("MAX_CHANGES", "٣"),
        ("REGION", "a,,b"),
        ("REGION", " "),
    ],
)
def test_bad_environment(variable: str, text: str) -> None:
    with pytest.raises(UsageError, match=f"^CADO_OPS_{variable}: "):
        from_env(**{variable: text})


def test_warnings_name_the_variable_and_not_its_value() -> None:
    found = load(
        OPTIONS,
        {
            "CADO_OPS_YES": "secret",
            "CADO_OPS_ROL_NAME": "secret",
            "CADO_OPS_X\x1b": "",
            "CADO_OPS_CONFIG": "x",
            "HOME": "/",
        },
        None,
    )
    assert found.warnings == (
        "CADO_OPS_ROL_NAME is ignored: there is no such setting; did you mean CADO_OPS_ROLE_NAME?",
        "'CADO_OPS_X\\x1b' is ignored: there is no such setting",
        "CADO_OPS_YES is ignored: --yes is a flag only",
    )
    assert set(found.env) == set()


def test_toml_values(toml: Path) -> None:
    found = from_toml(
        toml,
        '\ufeff# ours\r\nrole-name = "a"\r\nfail_empty = true\nmax-changes = 5\n'
        'region = "eu-west-1, us-east-1"\naccount = ["a,b", "c"]\n',
    )
    values = {name: merged.value for name, merged in found.file.items()}
    assert values == {
        "role-name": "a",
        "fail-empty": True,
        "max-changes": 5,
        "region": ["eu-west-1", "us-east-1"],
        "account": ["a,b", "c"],
    }
    assert found.file["role-name"].source == f"{toml}:2 (role-name)"
    assert found.path == toml


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("role_name = ", 1, "no valid TOML"),
        ("\n\nrole_name = x", 3, "no valid TOML"),
        ('role_name = "a', 1, "no valid TOML"),
        ('role_name = "a"\nrole_name = "b"\n', 2, "no valid TOML"),
        ('role_name = "a"\n\nrole-name = "b"\n', 3, "given twice"),
        ('# x\nrole_nam = "a"\n', 2, "no setting 'role_nam'; did you mean role_name?"),
        ('"\\u001b" = "a"\n', None, "no setting '\\x1b'"),
        ("yes = true\n", 1, "--yes is a flag only"),
        ('endpoint-url = "x"\n', 1, "--endpoint-url is a flag only"),
        ('config = "x"\n', 1, "named in itself"),
        ("[profile]\nx = 1\n", 1, "a table 'profile'"),
        ("[role_name]\nx = 1\n", 1, "a string is expected"),
        ("role_name.x = 1\n", 1, "a string is expected"),
        ("role_name = 5\n", 1, "a string is expected, not 5"),
        ('max_changes = "5"\n', 1, "a whole number is expected"),
        ("max_changes = true\n", 1, "a whole number is expected"),
        ("max_changes = 5.0\n", 1, "a whole number is expected"),
        ("max_changes = 99999999999\n", 1, "a whole number is expected"),
        (f"max_changes = {'9' * 5000}\n", None, "a number too long"),
        ('fail_empty = "yes"\n', 1, "true or false is expected"),
        ("fail_empty = 1\n", 1, "true or false is expected"),
        ("account = [111111111111]\n", 1, "a list of strings is expected"),
        ("account = 111111111111\n", 1, "a list of strings is expected"),
        ('region = ["a", ""]\n', 1, "a list of strings is expected"),
        ('region = "a,,b"\n', 1, "an empty piece"),
        ("region = " + "[" * 5000 + "]" * 5000, None, "nested too deep"),
    ],
)
def test_bad_toml(toml: Path, text: str, line: int | None, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        from_toml(toml, text)
    assert caught.value.message.startswith(f"{toml}:{line}" if line else f"{toml}: ")
    assert message in caught.value.message
    assert caught.value.message.isprintable()


def test_account_ids_in_quotes(toml: Path) -> None:
    with pytest.raises(UsageError) as caught:
        from_toml(toml, "account = [111111111111]")
    assert caught.value.hint == "Strings stand in quotes, account ids too."


def test_a_missing_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path / "none" / "config.toml"):
        found = load(OPTIONS, {}, path)
        assert (found.file, found.path) == ({}, None)
        with pytest.raises(UsageError, match="no such settings file"):
            load(OPTIONS, {}, path, explicit=True)


def test_no_settings_at_all() -> None:
    assert load(OPTIONS, {}, Path(os.devnull), explicit=True).file == {}


def test_a_folder_and_a_pipe_are_no_files(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (tmp_path, pipe):
        with pytest.raises(UsageError, match="no regular file"):
            load(OPTIONS, {}, path)


def test_files_that_are_no_settings(toml: Path) -> None:
    toml.write_bytes(b"# x\n\xff")
    with pytest.raises(UsageError, match=":2: no UTF-8 text"):
        load(OPTIONS, {}, toml)
    toml.write_bytes(b"#" * (1024**2 + 1))
    with pytest.raises(UsageError, match="256 KiB"):
        load(OPTIONS, {}, toml)
    with pytest.raises(UsageError, match="is no path"):
        load(OPTIONS, {}, Path("a\0b"))


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write(toml: Path, mode: int) -> None:
    toml.chmod(mode)
    with pytest.raises(UsageError, match="other users may write") as caught:
        load(OPTIONS, {}, toml)
    assert caught.value.hint == f"chmod go-w {toml}"


@pytest.mark.parametrize(("owner", "fine"), [(0, True), (1000, True), (1001, False)])
def test_the_owner_of_the_file(toml: Path, monkeypatch: pytest.MonkeyPatch, owner: int, fine: bool) -> None:
    real = os.fstat

    def fstat(descriptor: int) -> os.stat_result:
        fields = list(real(descriptor))
        fields[4] = owner
        return os.stat_result(fields)

    monkeypatch.setattr("cado_ops.cli.settings.os.fstat", fstat)
    monkeypatch.setattr("cado_ops.cli.settings.os.geteuid", lambda: 1000)
    if fine:
        load(OPTIONS, {}, toml)
    else:
        with pytest.raises(UsageError, match=r"belongs to another user \(uid 1001\)"):
            load(OPTIONS, {}, toml)


@pytest.mark.parametrize(
    ("flag", "environ", "platform", "path", "named"),
    [
        ("a.toml", {"CADO_OPS_CONFIG": "b.toml", "HOME": "/home/me"}, "linux", "a.toml", True),
        (None, {"CADO_OPS_CONFIG": "b.toml", "HOME": "/home/me"}, "linux", "b.toml", True),
        (
            None,
            {"CADO_OPS_CONFIG": "", "HOME": "/home/me"},
            "linux",
            "/home/me/.config/cado-ops/config.toml",
            False,
        ),
        (None, {"XDG_CONFIG_HOME": "/x", "HOME": "/home/me"}, "linux", "/x/cado-ops/config.toml", False),
        (
            None,
            {"XDG_CONFIG_HOME": "x", "HOME": "/home/me"},
            "linux",
            "/home/me/.config/cado-ops/config.toml",
            False,
        ),
        (None, {"HOME": "/Users/me"}, "darwin", "/Users/me/.config/cado-ops/config.toml", False),
        (None, {"APPDATA": "/appdata", "HOME": "/home/me"}, "win32", "/appdata/cado-ops/config.toml", False),
        (None, {"HOME": "/home/me"}, "win32", None, False),
        (None, {"HOME": "."}, "linux", None, False),
        (None, {}, "linux", None, False),
    ],
)
def test_find_config(
    flag: str | None, environ: dict[str, str], platform: str, path: str | None, named: bool
) -> None:
    assert find_config(flag, environ, platform=platform) == (Path(path) if path else None, named)


def refusal(call: Callable[[], object]) -> UsageError | None:
    """The refusal of an input, or None where it was read. Any other exception is a bug and comes through."""
    try:
        call()
    except UsageError as error:
        return error
    return None


NAMES = st.sampled_from([option.env for option in OPTIONS]) | st.text(max_size=5).map("CADO_OPS_{}".format)


@given(st.dictionaries(NAMES, st.text()))
def test_any_environment_is_read_or_refused(environ: dict[str, str]) -> None:
    warnings: list[str] = []
    error = refusal(lambda: warnings.extend(load(OPTIONS, environ, None).warnings))
    assert error is None or error.message.isprintable()
    assert all(warning.isprintable() for warning in warnings)


KEYS = st.sampled_from([option.key for option in OPTIONS] + ["config", "x", "[x]", '"\\u001b"'])
VALUES = st.sampled_from(
    ['"a"', '"a,b"', '","', "1", "true", "[]", '["a"]', "[1]", "{}", "1.5", "1979-05-27", "nan", "'"]
)
LINES = st.lists(st.tuples(KEYS, VALUES).map(" = ".join)).map("\n".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary() | LINES.map(str.encode))
def test_any_file_is_read_or_refused(toml: Path, content: bytes) -> None:
    toml.write_bytes(content)
    error = refusal(lambda: load(OPTIONS, {}, toml))
    assert error is None or error.message.isprintable()


@given(st.dictionaries(st.sampled_from([option.name for option in OPTIONS]), st.none() | st.text(min_size=1)))
def test_a_given_flag_always_counts(flags: dict[str, str | None]) -> None:
    merged = from_env(ROLE_NAME="env", OU="ou").merge(flags)
    assert all(merged[name].value == value for name, value in flags.items() if value is not None)
