"""policy check: files, live roles and keys, against the sandbox."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.functional.conftest import EU, HOME, IN_PROD, PROD, RESEARCH, ROLE, STAGING, Cli
from tests.functional.test_policy_tighten import TEMPLATE

POLICIES = Path(__file__).resolve().parents[1] / "unit" / "policies"
CADO = f"arn:aws:iam::{PROD}:role/CadoResponseRole"
STAGING_CADO = f"arn:aws:iam::{STAGING}:role/StackSet-Cado-CadoResponseRole-1A2B3C"


def rules(result: Any) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for item in result.json["items"]:
        found.setdefault(item["rule"], []).append(item)
    return found


def test_a_file_without_aws(cli: Cli, sandbox: Any) -> None:
    path = POLICIES / "cross-account.yaml"
    result = cli.json("policy", "check", str(path))
    assert result.code == 3, "an error makes it partial"
    assert (result.json["status"], result.json["caller"]) == ("partial", None)
    [item] = rules(result)["send-command-untagged"]
    assert item["account"] is None
    assert item["source"] == str(path)
    assert item["statement"] == "statement 2 (MemoryForensics)"
    assert item["message"].startswith("line 15: ssm:SendCommand")
    assert item["fix"] == shlex.join(["cado-ops", "policy", "tighten", str(path)])
    assert sandbox.calls == [], "nothing is asked of AWS"


def test_what_tighten_makes_of_it_passes(cli: Cli) -> None:
    tight = cli("policy", "tighten", str(POLICIES / "cross-account.yaml"))
    result = cli.json("policy", "check", "-", stdin=tight.out)
    assert result.code == 0, result.out
    assert {item["severity"] for item in result.json["items"]} <= {"warning", "info"}
    assert {item["source"] for item in result.json["items"]} == {"stdin"}
    assert all(item["fix"] is None or "tighten" not in item["fix"] for item in result.json["items"])


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (
            '{"Version": "2012-10-17",\n "Statement": [{"Effect": "allow", "Action": "a:b", "Resource": "*"}]}',
            "2:27",
        ),
        ('{"Version": "2012-10-17"}', "1:1"),
        ('{"Statement": [\n  {"Effect": "Allow" "Action": "a:b"}]}', "2:22"),
        ("Version: '2012-10-17'\nStatement:\n- Effect: Allow\n  Aktion: x\n", "4:"),
        ("a: [1,\n", "2:1"),
    ],
)
def test_a_malformed_policy_is_one_line_with_its_place(cli: Cli, text: str, place: str) -> None:
    result = cli.json("policy", "check", "-", stdin=text)
    assert result.code == 3
    item, *_ = result.json["items"]
    assert (item["rule"], item["severity"], item["fix"]) == ("malformed", "error", None)
    assert item["message"].startswith(f"stdin:{place}"), item["message"]
    assert "\n" not in item["message"]


def test_a_file_that_is_not_there_is_wrong_usage(cli: Cli) -> None:
    result = cli.json("policy", "check", "nowhere.json")
    assert (result.code, result.out) == (2, "")


@pytest.mark.parametrize(
    "argv", [(), ("x.json", "--role", "R"), ("--role", "R", "--key", "alias/k"), ("--kms", "a", "x")]
)
def test_wrong_usage(cli: Cli, argv: tuple[str, ...]) -> None:
    result = cli.json("policy", "check", *argv)
    assert (result.code, result.out) == (2, "")


def test_live_roles_in_the_whole_scope(cli: Cli) -> None:
    """Staging's role has another name: that is a failure with a hint, and not a role without faults."""
    result = cli.json(
        "policy", "check", "--role", "CadoResponseRole", "--account", f"{PROD},{STAGING},{HOME}", *ROLE
    )
    assert result.code == 3
    found = rules(result)
    assert {item["account"] for item in found["send-command-untagged"]} == {HOME}
    assert {item["source"] for item in result.json["items"]} == {CADO, CADO.replace(PROD, HOME)}
    assert "send-command-untagged" not in {i["rule"] for i in result.json["items"] if i["account"] == PROD}
    [failure] = result.json["failures"]
    assert (failure["account"], failure["stage"]) == (STAGING, "observe")
    assert STAGING_CADO in failure["error"]["hint"]
    assert (result.json["summary"]["targets"], result.json["summary"]["targets_failed"]) == (3, 1)


def test_cados_own_list_says_what_the_role_is_called(cli: Cli) -> None:
    listed = f"roleArn,alias\n{CADO},prod\n{STAGING_CADO},staging\n"
    argv = ("policy", "check", "--role", "CadoResponseRole", "--accounts-file", "-", *ROLE)
    result = cli.json(*argv, stdin=listed)
    assert {item["source"] for item in result.json["items"]} == {CADO, STAGING_CADO}
    assert result.json["failures"] == []


def test_an_account_that_lets_nobody_in_is_a_failure(cli: Cli) -> None:
    result = cli.json("policy", "check", "--role", "CadoResponseRole", "--account", RESEARCH, *ROLE)
    assert result.code == 1
    assert [each["stage"] for each in result.json["failures"]] == ["assume-role"]
    assert result.json["items"] == []


def test_the_fix_of_a_live_role_can_be_pasted(cli: Cli) -> None:
    [item] = rules(cli.json("policy", "check", "--role", STAGING_CADO, *ROLE))["start-session-open"]
    assert item["fix"] == f"cado-ops policy tighten --role {STAGING_CADO} --role-name CadoOperator"
    done = cli(*shlex.split(item["fix"])[1:])
    assert done.code == 0, done.err
    assert "CadoResponseSSMEnabled" in done.out


def test_managed_policies_and_the_boundary_are_read_as_well(cli: Cli, aws: Any) -> None:
    iam = aws(PROD, EU, "iam")

    def managed(name: str, *statements: dict[str, Any]) -> str:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        return str(iam.create_policy(PolicyName=name, PolicyDocument=document)["Policy"]["Arn"])

    wide = {"Sid": "Wide", "Effect": "Allow", "Action": "ec2:CreateTags", "Resource": "*"}
    iam.attach_role_policy(RoleName="CadoResponseRole", PolicyArn=managed("More", wide))
    boundary = managed("Less", {"Effect": "Allow", "Action": ["ec2:*", "ssm:Describe*"], "Resource": "*"})
    iam.put_role_permissions_boundary(RoleName="CadoResponseRole", PermissionsBoundary=boundary)
    found = rules(cli.json("policy", "check", "--role", CADO, *ROLE))
    [item] = found["sets-the-tag"]
    assert item["statement"] == "More: statement 1 (Wide)"
    assert any("ssm:SendCommand on a tagged instance" in each["message"] for each in found["not-granted"])
    assert "simulator-differs" not in found, "AWS's simulator knows the boundary too"


def test_aws_is_asked_as_well_and_differences_are_shown(cli: Cli, sandbox: Any) -> None:
    role = ("policy", "check", "--role", CADO, *ROLE, "--region", EU)
    assert "simulator-differs" not in rules(cli.json(*role))
    assert "SimulatePrincipalPolicy" in {call.action for call in sandbox.calls}
    # The organisation's policy denies the region, and of that the role's policies say nothing.
    denied = rules(cli.json(*role[:-1], "ap-southeast-2"))["simulator-differs"]
    assert any(
        "SendCommand on a tagged instance: by this program allow, by AWS explicitDeny; by an organisation policy"
        in item["message"]
        for item in denied
    )
    sandbox.calls.clear()
    cli.json(*role, "--no-simulator")
    assert "SimulatePrincipalPolicy" not in {call.action for call in sandbox.calls}


def test_without_leave_to_ask_the_simulator_the_rest_is_still_checked(cli: Cli, sandbox: Any) -> None:
    sandbox.intercept = lambda request: (
        request.error("AccessDenied", "no", 403) if request.action == "SimulatePrincipalPolicy" else None
    )
    result = cli.json("policy", "check", "--role", STAGING_CADO, *ROLE)
    assert rules(result)["send-command-untagged"]
    assert result.json["failures"] == []
    assert "iam:SimulatePrincipalPolicy is not allowed" in result.err


def test_a_policy_that_cannot_be_read_is_a_failure(cli: Cli, sandbox: Any) -> None:
    sandbox.intercept = lambda request: (
        request.error("AccessDenied", "no", 403) if request.action == "GetRolePolicy" else None
    )
    result = cli.json("policy", "check", "--role", CADO, *ROLE)
    assert (result.code, result.json["items"]) == (1, [])
    assert result.json["failures"][0]["error"]["code"] == "AccessDenied"


def test_the_operator_must_not_be_the_cado_role(cli: Cli) -> None:
    result = cli.json("policy", "check", "--role", CADO.replace("CadoResponseRole", "CadoOperator"), *ROLE)
    assert rules(result)["same-role"][0]["severity"] == "error"
    assert "same-role" not in rules(cli.json("policy", "check", "--role", CADO, *ROLE))


def test_the_variant_of_kms_that_is_wanted(cli: Cli) -> None:
    found = rules(cli.json("policy", "check", "--role", CADO, *ROLE, "--kms", "ebs-direct"))
    [item] = found["kms-actions-missing"]
    assert "kms:Decrypt" in item["message"]
    assert item["fix"] == f"cado-ops policy show kms-ebs-direct --cado-role {CADO}"
    assert cli(*shlex.split(item["fix"])[1:]).code == 0


def key_policy(aws: Any, *statements: dict[str, Any], alias: str = "alias/acme-data") -> str:
    kms = aws(PROD, EU, "kms")
    arn = str(kms.describe_key(KeyId=alias)["KeyMetadata"]["Arn"])
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    kms.put_key_policy(KeyId=arn, PolicyName="default", Policy=json.dumps(document))
    return arn


ROOT = {
    "Sid": "Enable IAM User Permissions",
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{PROD}:root"},
    "Action": "kms:*",
    "Resource": "*",
}


def test_a_key_that_leaves_it_to_iam_needs_the_role_to_be_allowed(cli: Cli, aws: Any) -> None:
    arn = key_policy(aws, ROOT)
    result = cli.json("policy", "check", "--key", "alias/acme-data", *IN_PROD, "--kms", "withheld")
    [item] = rules(result)["one-side-missing"]
    assert (item["source"], item["account"], item["severity"]) == (arn, PROD, "error")
    assert "kms:Decrypt" in item["message"]
    assert result.code == 3


def test_a_key_that_does_not_know_the_role(cli: Cli, aws: Any) -> None:
    other = {**ROOT, "Principal": {"AWS": f"arn:aws:iam::{PROD}:role/Somebody"}}
    arn = key_policy(aws, other)
    found = rules(cli.json("policy", "check", "--key", arn, *ROLE))
    assert {"key-policy-role", "key-policy-root", "key-policy-grants"} <= set(found)
    # The grant that would help is refused: the key's own policy has to change.
    assert found["key-policy-role"][0]["fix"] == f"cado-ops policy show kms-withheld --cado-role {CADO}"
    key_policy(aws, {**ROOT, "Principal": {"AWS": CADO.replace("CadoResponseRole", "CadoOperator")}})
    found = rules(cli.json("policy", "check", "--key", arn, *ROLE, "--cado-role", CADO))
    assert "key-policy-grants" not in found, "the operator role is named"
    fix = f"cado-ops kms grant --key {arn} --role-name CadoOperator --cado-role {CADO}"
    assert found["key-policy-role"][0]["fix"] == fix


def test_a_key_that_names_the_role_is_enough_inside_the_account(cli: Cli, aws: Any) -> None:
    named = {
        "Effect": "Allow", "Principal": {"AWS": CADO}, "Resource": "*",
        "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:CreateGrant"],
    }  # fmt: skip
    key_policy(aws, ROOT, named)
    result = cli.json("policy", "check", "--key", "alias/acme-data", *IN_PROD, "--kms", "ebs-direct")
    assert rules(result).keys() == set(), result.out
    assert result.code == 0


def test_across_accounts_both_sides_have_to_allow(cli: Cli, aws: Any) -> None:
    cado_of_home = CADO.replace(PROD, HOME)
    named = {"Effect": "Allow", "Principal": {"AWS": cado_of_home}, "Action": "kms:*", "Resource": "*"}
    arn = key_policy(aws, ROOT, named)
    argv = ("policy", "check", "--key", arn, "--account", f"{HOME},{PROD}", "--region", EU, *ROLE)
    found = rules(cli.json(*argv, "--cado-role", cado_of_home))
    assert "needs kms:CreateGrant, kms:Decrypt in its own policies" in found["one-side-missing"][0]["message"]
    iam = aws(HOME, EU, "iam")
    allow = {"Effect": "Allow", "Action": ["kms:CreateGrant", "kms:Decrypt"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_role_policy(RoleName="CadoResponseRole", PolicyName="Keys", PolicyDocument=document)
    after = rules(cli.json(*argv, "--cado-role", cado_of_home))
    assert "one-side-missing" not in after, after["one-side-missing"][0]["message"]
    key_policy(aws, ROOT)
    found = rules(cli.json(*argv, "--cado-role", cado_of_home))
    assert found["key-policy-role"][0]["fix"].endswith(f"--role-name CadoOperator --grantee {cado_of_home}")
    fix = found["one-side-missing"][0]["fix"]
    assert fix == f"cado-ops policy show kms-withheld --account {PROD} --cado-role {cado_of_home}"
    shown = cli(*shlex.split(fix)[1:])
    assert shown.code == 0, shown.err
    document = json.loads(shown.out)
    principals = [each["Principal"]["AWS"] for each in document["Statement"]]
    assert principals == [f"arn:aws:iam::{PROD}:root", cado_of_home, cado_of_home]


def test_a_key_that_cannot_be_read_is_a_failure(cli: Cli, sandbox: Any) -> None:
    sandbox.intercept = lambda request: (
        request.error("AccessDeniedException", "no") if request.action == "GetKeyPolicy" else None
    )
    result = cli.json("policy", "check", "--key", "alias/acme-data", *IN_PROD)
    assert result.code != 0
    assert result.json["failures"][0]["error"]["code"] == "AccessDeniedException"
    assert result.json["items"] == []


def test_a_table_shows_message_and_fix(cli: Cli) -> None:
    result = cli("policy", "check", str(POLICIES / "documented-wide.json"))
    assert result.code == 3
    assert "fix: cado-ops policy tighten" in result.out
    assert "ssm:SendCommand is allowed on instances without CadoResponseSSMEnabled=True" in result.out


def test_of_a_template_each_finding_names_its_branch(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(TEMPLATE)
    result = cli.json("policy", "check", str(path))
    assert result.code == 3
    [item] = rules(result)["send-command-untagged"]
    assert item["message"].startswith("line 12: if Wide: ssm:SendCommand is allowed on instances without")
    assert item["statement"] == "Cado.Policies[0].statement 1 (Send)"
    assert item["fix"] == f"cado-ops policy tighten {path}"
    assert "sets-the-tag" not in rules(result), "that is the operator's business"
    assert "left alone: Operator" in result.err
    named = rules(cli.json("policy", "check", str(path), "--cado-role", "Operator"))
    assert named["sets-the-tag"][0]["fix"] == f"cado-ops policy tighten {path} --cado-role Operator"
