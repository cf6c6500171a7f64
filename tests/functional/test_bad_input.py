"""Whatever is typed wrong: one clear line on stderr, exit 2, nothing on stdout, no call to AWS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.functional.conftest import IN_PROD, PROD, ROLE, Cli

TAG = "tag-instances"
SOME = ("--filter", "tag:Env=prod")

BAD = [
    ([TAG, *SOME, "--account", "1234"], "1234"),
    ([TAG, *SOME, "--account", "222222222222,"], "empty piece"),
    ([TAG, *SOME, "--region", "europe"], "europe"),
    ([TAG, *SOME, "--exclude-region", "all"], "all"),
    ([TAG, "i-xyz", *IN_PROD], "i-xyz"),
    ([TAG, "vol-0123456789abcdef0", *IN_PROD], "vol-0123456789abcdef0"),
    ([TAG, "mi-0123456789abcdef0", *IN_PROD], "hybrid"),
    ([TAG, "arn:aws:s3:::bucket", *IN_PROD], "arn:aws:s3:::bucket"),
    ([TAG, "arn:aws:ec2:eu-west-1:12:instance/i-0123456789abcdef0"], "instance"),
    ([TAG, "--filter", "nonsense", *IN_PROD], "nonsense"),
    ([TAG, "--filter", "Env=prod", *IN_PROD], "tag:Env=prod"),
    ([TAG, "--filter", '{"Name": "tag:Env"', *IN_PROD], "--filter"),
    ([TAG, "--filter", "file:///does/not/exist", *IN_PROD], "/does/not/exist"),
    ([TAG, *SOME, "--exclude", "=x", *IN_PROD], "--exclude"),
    ([TAG, *IN_PROD], "nothing is selected"),
    ([TAG, "--all", "i-0123456789abcdef0", *IN_PROD], "--all"),
    ([TAG, "--all", *SOME, *IN_PROD], "--all"),
    ([TAG, *SOME, "--role-arn", "CadoOperator"], "--role-name"),
    ([TAG, *SOME, "--role-name", "arn:aws:iam::222222222222:role/CadoOperator"], "--role-arn"),
    ([TAG, *SOME, "--role-arn", "arn:aws:sts::222222222222:assumed-role/CadoOperator/me"], "role"),
    ([TAG, *SOME, "--account", PROD], "--role-name"),
    ([TAG, *SOME, "--role-arn", f"arn:aws:iam::{PROD}:role/CadoOperator"], f"--account {PROD}"),
    ([TAG, *SOME, "--external-id", "x"], "--external-id"),
    ([TAG, *SOME, "--session-name", "a b"], "--session-name"),
    ([TAG, *SOME, "--cado-role", "no such role!"], "--cado-role"),
    ([TAG, *SOME, "--case", "IR 42"], "--case"),
    ([TAG, *SOME, "--case", "x" * 41], "--case"),
    ([TAG, *SOME, "--expires", "72h"], "--case"),
    ([TAG, *SOME, "--case", "IR-42", "--expires", "yesterday"], "--expires"),
    ([TAG, *SOME, "--case", "IR-42", "--expires", "2001-01-01"], "--expires"),
    ([TAG, *SOME, "--max-changes", "-1"], "--max-changes"),
    ([TAG, *SOME, "--max-changes", "many"], "--max-changes"),
    ([TAG, *SOME, "--max-concurrency", "0"], "--max-concurrency"),
    ([TAG, *SOME, "-o", "yaml"], "yaml"),
    ([TAG, *SOME, "-o", "csv", "--query", "items"], "--query"),
    ([TAG, *SOME, "-o", "json", "--query", "items[?"], "--query"),
    ([TAG, *SOME, "--no-such-option"], "--no-such-option"),
    ([TAG, *SOME, "--ou", "production"], "--ou"),
    ([TAG, *SOME, "--org-role-arn", "OrgReader"], "--org-role-arn"),
    ([TAG, *SOME, "--config", "/does/not/exist.toml"], "/does/not/exist.toml"),
    ([TAG, *SOME, "--accounts-file", "/does/not/exist"], "/does/not/exist"),
    (["no-such-command"], "no-such-command"),
    (["sandbox", "--shell", "tcsh"], "tcsh"),
    (["runs", "show", "nope"], "nope"),
    (["runs", "show"], "RUN"),
]


@pytest.mark.parametrize(("argv", "says"), BAD, ids=[" ".join(argv)[:70] for argv, _ in BAD])
def test_bad_command_lines(cli: Cli, sandbox: Any, argv: list[str], says: str) -> None:
    sandbox.calls.clear()
    result = cli(*argv)
    assert result.code == 2, result.err
    assert result.out == ""
    assert says in result.err
    assert "Traceback" not in result.err
    assert {call.action for call in sandbox.calls} <= {"GetCallerIdentity"}


FILES = [
    ("--accounts-file", "222222222222\nnot-an-account\n", ":2"),
    ("--accounts-file", "roleArn,alias\narn:aws:iam::222222222222:role/R,ok\nnonsense,x\n", ":3"),
    ("--accounts-file", "\n\n", ""),
    ("--from-finding", "not json", ""),
    ("--from-finding", "[" * 100_000, ""),
    ("--from-finding", '{"some": "json"}', ""),
    ("--config", "role_nam = 'x'\n", "role_nam"),
    ("--config", "all = true\n", "all"),
    ("--config", "region = 5\n", "region"),
    ("--config", "= broken\n", ""),
]


@pytest.mark.parametrize(("option", "content", "says"), FILES)
def test_bad_files(cli: Cli, tmp_path: Path, option: str, content: str, says: str) -> None:
    file = tmp_path / "input.txt"
    file.write_text(content)
    selected = () if option == "--from-finding" else SOME
    result = cli(TAG, *selected, *ROLE, option, str(file))
    assert (result.code, result.out) == (2, "")
    assert "input.txt" in result.err
    assert says in result.err
    assert len(result.err.splitlines()) <= 2


def test_stdin_mistakes(cli: Cli) -> None:
    assert "empty" in cli(TAG, "-", *IN_PROD, "--yes", stdin="").err
    assert "twice" in cli(TAG, "-", "--accounts-file", "-", *ROLE, "--yes", stdin=PROD).err
    unasked = cli(TAG, "-", *IN_PROD, stdin="i-0123456789abcdef0")
    assert unasked.code == 2
    assert "--yes" in unasked.err


def test_a_settings_file_that_others_can_write_is_refused(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('role_name = "CadoOperator"\n')
    file.chmod(0o666)
    result = cli("targets", "--config", str(file))
    assert result.code == 2
    assert str(file) in result.err


def test_nothing_in_the_current_folder_is_read(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("config.toml", "cado-ops.toml", ".cado-ops.toml", ".env"):
        (tmp_path / name).write_text("nonsense = = =\nAWS_PROFILE=nobody\n")
    monkeypatch.chdir(tmp_path)
    assert cli("targets").code == 0
