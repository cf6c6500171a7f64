"""check: what it finds in the sandbox's organisation, what it mends, how long it waits, and what it asks AWS."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cado_ops.sandbox import Sandbox
from cado_ops.sandbox.protocol import RequestInfo
from tests.functional.conftest import DE, EU, HOME, IN_PROD, PROD, ROLE, STAGING, US, Cli, Result, Terminal

CADO_IN_STAGING = f"arn:aws:iam::{STAGING}:role/StackSet-Cado-CadoResponseRole-1A2B3C"
Items = dict[str, dict[str, Any]]


def findings(item: dict[str, Any], check: str) -> list[tuple[str, str]]:
    return [(each["status"], each["detail"]) for each in item["findings"] if each["check"] == check]


def routes(item: dict[str, Any]) -> tuple[str, str]:
    return item["routes"]["triage"], item["routes"]["disk"]


def by_name(result: Result, names: dict[str, str]) -> Items:
    """The items by the instance's name; ``names`` are ids by name."""
    found = {item["instance_id"]: item for item in result.json["items"]}
    return {name: found[each] for name, each in names.items() if each in found}


@pytest.fixture(scope="module")
def organisation(_server: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Result, Items]]:
    """One look at three accounts in three regions, read by many tests."""
    _server.reset()
    _server.intercept = None
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _server.environment().items():
            if value is not None:
                patch.setenv(name, value)
            else:
                patch.delenv(name, raising=False)
        patch.delenv("CADO_OPS_CONFIG")
        cli = Cli(tmp_path_factory.mktemp("runs"))
        where = ("--account", f"{PROD},{STAGING},{HOME}", "--region", f"{EU},{US},{DE}", *ROLE)
        result = cli.json("check", "--all", "--cado-role", f"CadoResponseRole,{CADO_IN_STAGING}", *where)
        listed = cli.json("tag-instances", "--all", *where, "--dry-run", "--max-changes", "1000")
        names = {item["name"]: item["instance_id"] for item in listed.json["items"]}
        yield result, by_name(result, names)
    _server.reset()


# The name of a machine in the sandbox; its routes; a finding, its status, words of its detail.
SEEDED = [
    ("siem-01", "ready", "ready", "volume", "ok", "by the key's policy"),
    ("bastion-01", "ready", "ready", "volume", "ok", "AWS's own key"),
    ("bastion-01", "ready", "ready", "session-manager", "warn", "no boundary"),
    ("bastion-01", "ready", "ready", "tag", "warn", "all the same"),
    ("analyst-01", "blocked", "ready", "agent", "warn", "running nodes alone"),
    ("web-01", "blocked", "blocked", "tag", "block", "is not there"),
    ("web-01", "blocked", "blocked", "auto-scaling", "warn", "acme-web"),
    ("web-03", "ready", "blocked", "tag", "ok", "=True"),
    ("web-03", "ready", "blocked", "volume", "block", "nor a grant"),
    ("web-03", "ready", "blocked", "send-command", "ok", "AWS-RunShellScript"),
    ("web-03", "ready", "blocked", "session-manager", "ok", "closed"),
    ("web-03", "ready", "blocked", "create-snapshot", "ok", "snapshots"),
    ("web-03", "ready", "blocked", "read-snapshot", "ok", "blocks"),
    ("web-03", "ready", "blocked", "cado-role", "ok", "CadoResponseRole"),
    ("web-03", "ready", "blocked", "delete-on-termination", "warn", "/dev/xvda"),
    ("web-04", "blocked", "blocked", "agent", "block", "ConnectionLost"),
    ("web-04", "blocked", "blocked", "tag", "block", "'true'"),
    ("api-02", "blocked", "ready", "tag", "block", "'True '"),
    ("api-03", "blocked", "ready", "agent", "block", "not registered"),
    ("api-03", "blocked", "ready", "management", "warn", "Default Host Management is off"),
    ("db-02", "blocked", "ready", "tag", "block", "EC2 allows 50"),
    ("dc-01", "unknown", "ready", "tag", "unknown", "in case"),
    ("dc-01", "unknown", "ready", "platform", "ok", "Windows: AWS-RunPowerShellScript"),
    ("dc-02", "unknown", "ready", "tag", "unknown", "in case"),
    ("batch-01", "blocked", "blocked", "state", "block", "stopped"),
    ("batch-02", "blocked", "blocked", "tag", "block", "set on purpose"),
    ("old-web-01", "blocked", "blocked", "state", "block", "terminated"),
    ("new-web-05", "blocked", "blocked", "state", "block", "pending"),
    ("web-us-02", "ready", "blocked", "spot", "warn", "two minutes"),
    ("db-us-01", "blocked", "blocked", "instance-store", "warn", "474 GB"),
    ("api-us-01", "blocked", "ready", "managed", "warn", "eks.amazonaws.com"),
    ("old-us-01", "blocked", "blocked", "state", "block", "shutting-down"),
    ("erp-de-01", "blocked", "blocked", "volume", "block", "to be deleted"),
    ("stg-api-01", "ready", "ready", "tag", "warn", "all the same"),
    ("stg-api-02", "blocked", "ready", "management", "ok", "acme-ssm"),
    ("dev-03", "blocked", "ready", "agent", "block", "hybrid node mi-"),
    ("dev-03", "blocked", "ready", "management", "ok", "Default Host Management (AWSSystemsManager"),
]


@pytest.mark.parametrize(("name", "triage", "disk", "check", "status", "words"), SEEDED)
def test_what_is_found_in_the_organisation(
    organisation: tuple[Result, Items], name: str, triage: str, disk: str, check: str, status: str, words: str
) -> None:
    item = organisation[1][name]
    [(found, detail)] = findings(item, check)
    assert (found, words in detail) == (status, True), detail
    assert routes(item) == (triage, disk)


def test_volumes_are_told_one_by_one(organisation: tuple[Result, Items]) -> None:
    told = findings(organisation[1]["db-01"], "volume")
    assert [status for status, _ in told] == ["ok", "ok"]
    assert all("by grant" in detail for _, detail in told), "that which was made by hand"
    told = findings(organisation[1]["db-03"], "volume")
    assert [(status, "disabled" in detail) for status, detail in told] == [("block", True), ("block", True)]


def test_the_envelope(organisation: tuple[Result, Items]) -> None:
    result, items = organisation
    envelope = result.json
    assert (result.code, envelope["status"], envelope["command"], envelope["run_id"]) == (
        3,
        "partial",
        "check",
        None,
    )
    counted = Counter(
        "blocked" if "blocked" in routes(each) else "unknown" if "unknown" in routes(each) else "ready"
        for each in envelope["items"]
    )
    summary = envelope["summary"]
    assert {key: summary[key] for key in ("ready", "blocked", "unknown")} == dict(counted)
    assert summary["selected"] == len(envelope["items"]) >= len(items) > 40
    for item in envelope["items"]:
        assert set(item) == {"account", "region", "instance_id", "routes", "findings"}
        for each in item["findings"]:
            assert set(each) == {"check", "status", "detail", "fix"}
            if each["fix"]:
                assert shlex.split(each["fix"])[0] in ("cado-ops", "aws")


def test_all_that_is_ready_is_success(cli: Cli, ids: Any) -> None:
    result = cli.json("check", ids(HOME)["siem-01"], "--region", EU)
    assert (result.code, result.json["status"]) == (0, "success"), result.out


def test_a_role_of_another_name(cli: Cli, ids: Any) -> None:
    result = cli.json("check", ids(STAGING)["stg-api-01"], "--account", STAGING, "--region", EU, *ROLE)
    [item] = result.json["items"]
    [(status, detail)] = findings(item, "cado-role")
    assert (status, routes(item)) == ("block", ("blocked", "blocked"))
    assert CADO_IN_STAGING in detail
    [fix] = [each["fix"] for each in item["findings"] if each["check"] == "cado-role"]
    again = cli.json(*shlex.split(fix)[1:])
    assert routes(again.json["items"][0]) == ("ready", "ready"), "and its fix is the right command"


def test_a_role_that_may_do_nothing(cli: Cli, ids: Any, aws: Any) -> None:
    text = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}}'
    aws(PROD, EU, "iam").put_role_policy(
        RoleName="CadoResponseRole", PolicyName="CadoResponseRolePolicy", PolicyDocument=text
    )
    result = cli.json("check", ids()["web-03"], *IN_PROD)
    [item] = result.json["items"]
    assert routes(item) == ("blocked", "blocked")
    for check in ("send-command", "create-snapshot", "read-snapshot"):
        [found] = [each for each in item["findings"] if each["check"] == check]
        assert (found["status"], "no identity policy" in found["detail"]) == ("block", True)
        assert cli.json(*shlex.split(found["fix"])[1:]).code in (0, 3), "the fix can be run"


def test_a_key_near_its_quota(cli: Cli, ids: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cado_ops.verdict.readiness.disks.NEAR_QUOTA", 2)
    result = cli.json("check", ids()["db-01"], *IN_PROD)
    [(status, detail)] = findings(result.json["items"][0], "grant-quota")
    assert (status, "grants, and KMS allows 50000" in detail) == ("warn", True)


def test_a_key_of_another_account(cli: Cli, ids: Any, aws: Any, grants: Any) -> None:
    """It is read where that account is in scope, and not known where it is not."""
    key, there, ec2 = grants(STAGING, EU).key("acme-data"), ids()["dc-01"], aws(PROD, EU)
    zone = ec2.describe_instances(InstanceIds=[there])["Reservations"][0]["Instances"][0]["Placement"]
    made = ec2.create_volume(AvailabilityZone=zone["AvailabilityZone"], Size=8, Encrypted=True, KmsKeyId=key)
    ec2.attach_volume(InstanceId=there, VolumeId=made["VolumeId"], Device="/dev/sdz")

    def told(accounts: str) -> dict[str, Any]:
        result = cli.json("check", there, "--account", accounts, "--region", EU, *ROLE)
        item = next(each for each in result.json["items"] if each["instance_id"] == there)
        [found] = [
            each for each in item["findings"] if made["VolumeId"] in each["detail"] and each["check"] == "volume"
        ]
        return found

    unknown = told(PROD)
    assert unknown["status"] == "unknown"
    assert f"add --account {STAGING}" in unknown["detail"]
    blocked = told(f"{PROD},{STAGING}")
    assert blocked["status"] == "block"
    assert f"of account {STAGING}" in blocked["detail"]
    assert f"--account {STAGING} --account {PROD}" in blocked["fix"]


def test_the_fixes_mend(cli: Cli, ids: Any) -> None:
    """Each command that is shown can be run as it stands; what stays is not this program's to mend."""
    named = ("check", ids()["web-02"], *IN_PROD, "--case", "IR-9", "--expires", "72h")
    before = cli.json(*named).json["items"][0]
    fixes = [each["fix"] for each in before["findings"] if each["status"] == "block"]
    assert [shlex.split(each)[1] for each in fixes] == ["tag-instances", "kms"]
    for fix in fixes:
        assert "--case IR-9 --expires 72h" in fix
        assert cli(*shlex.split(fix)[1:], "--yes").code == 0
    after = cli.json(*named)
    assert (after.code, routes(after.json["items"][0])) == (0, ("ready", "ready"))
    told = [detail for _, detail in findings(after.json["items"][0], "volume")]
    assert all("case IR-9, due 20" in each for each in told)
    assert findings(after.json["items"][0], "claims")[0][1].startswith("claimed by IR-9 until 20")


# What the role may do, and with it what it may do with keys.
_BY_POLICY = {"send-command", "create-snapshot", "read-snapshot", "session-manager", "tag", "volume"}
# What the operator may not do; the findings that are not known then.
ACTIONS: list[tuple[str, set[str]]] = [
    ("ssm:DescribeInstanceInformation", {"agent"}),
    ("ssm:GetServiceSetting", {"management"}),
    ("ec2:DescribeVolumes", {"volume"}),
    ("ec2:DescribeInstanceTypes", {"instance-store"}),
    ("iam:ListRolePolicies", _BY_POLICY),
    ("iam:GetRolePolicy", _BY_POLICY),
    ("iam:ListAttachedRolePolicies", _BY_POLICY),
    ("iam:GetPolicy", _BY_POLICY),
    ("iam:GetPolicyVersion", _BY_POLICY),
    # A boundary only takes away: a shell that no policy allows stays closed.
    ("iam:GetRole", {"cado-role", *_BY_POLICY} - {"session-manager"}),
    ("iam:SimulatePrincipalPolicy", {"send-command", "create-snapshot", "read-snapshot", "volume"}),
    ("kms:DescribeKey", {"volume"}),
    ("kms:GetKeyPolicy", {"volume"}),
    ("kms:ListGrants", {"volume", "grant-quota"}),
]


class TestNotAllowed:
    """One read permission of the caller's removed: what depends on it is unknown, and nothing becomes ok."""

    @pytest.fixture
    def look(self, cli: Cli, ids: Any, aws: Any) -> Callable[[], Result]:
        text = (
            '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}}'
        )
        iam = aws(PROD, EU, "iam")
        arn = iam.create_policy(PolicyName="More", PolicyDocument=text)["Policy"]["Arn"]
        iam.attach_role_policy(RoleName="CadoResponseRole", PolicyArn=arn)
        named = [ids()[name] for name in ("web-01", "web-03", "api-03", "db-01", "dc-01")]
        return lambda: cli.json("check", *named, *IN_PROD)

    @pytest.mark.parametrize(("action", "expected"), ACTIONS, ids=[action for action, _ in ACTIONS])
    def test_what_depends_on_it_is_unknown(
        self, look: Callable[[], Result], sandbox: Any, action: str, expected: set[str]
    ) -> None:
        before = {item["instance_id"]: item for item in look().json["items"]}
        sandbox.intercept = denial(action)
        after = look()
        assert after.code == 3
        unknown: set[str] = set()
        for item in after.json["items"]:
            was = {each["check"]: each["status"] for each in before[item["instance_id"]]["findings"]}
            for each in item["findings"]:
                if each["status"] == "unknown" and was.get(each["check"]) != "unknown":
                    unknown.add(each["check"])
                    assert action in each["detail"], each
                else:
                    assert was.get(each["check"]) == each["status"], (each, "changed for lack of a permission")
        assert unknown == expected
        assert after.json["failures"] == []

    def test_where_instances_cannot_be_read_there_is_no_item_and_a_failure(
        self, look: Callable[[], Result], sandbox: Any
    ) -> None:
        sandbox.intercept = denial("ec2:DescribeInstances")
        result = look()
        assert (result.code, result.json["items"]) == (1, [])
        assert {each["error"]["code"] for each in result.json["failures"]} >= {"UnauthorizedOperation"}

    def test_without_the_simulator_on_purpose(self, cli: Cli, ids: Any, sandbox: Any) -> None:
        sandbox.intercept = denial("iam:SimulatePrincipalPolicy")
        result = cli.json("check", ids(HOME)["siem-01"], "--region", EU, "--no-simulator")
        assert result.code == 0
        assert "not asked" in findings(result.json["items"][0], "send-command")[0][1]


def denial(action: str) -> Callable[[RequestInfo], Any]:
    service, _, name = action.partition(":")
    code = {"ec2": "UnauthorizedOperation", "iam": "AccessDenied"}.get(service, "AccessDeniedException")

    def intercept(info: RequestInfo) -> Any:
        # Only of the program's own calls: the tests' clients look as well.
        ours = "cado-ops" in info.headers.get("user-agent", "")
        if ours and (info.service, info.action) == (service, name):
            return info.error(code, f"User: {info.arn} is not authorized to perform: {action}", 403)
        return None

    return intercept


class TestFix:
    def test_it_asks_for_each_kind_and_looks_again(self, cli: Cli, ids: Any) -> None:
        named = ids()
        err = Terminal()
        result = cli.json(
            "check", named["web-01"], named["web-03"], *IN_PROD, "--case", "IR-5", "--fix",
            stdin=Terminal("y\ny\n"), stderr=err,
        )  # fmt: skip
        assert result.code == 0, result.err
        assert [routes(item) for item in result.json["items"]] == [("ready", "ready")] * 2
        assert result.err.count("Go on? [y/N]") == 2
        runs = {json.loads(path.read_text().splitlines()[0])["command"]: path.stem for path in cli.runs()}
        assert set(runs) == {"tag-instances", "kms grant"}
        assert result.json["run_id"] == runs["kms grant"]
        assert all(f"cado-ops runs undo {run}" in result.err for run in runs.values()), "and the other one is named"

    def test_what_it_changed_can_be_undone(self, cli: Cli, ids: Any, tags: Any, grants: Any) -> None:
        result = cli("check", ids()["web-01"], *IN_PROD, "--fix", "--yes")
        assert result.code == 0, result.err
        undo = [line for line in result.err.splitlines() + result.out.splitlines() if "runs undo" in line]
        assert len(undo) == 2
        assert len(grants().ours("acme-ebs")) == 1
        for line in undo:
            assert cli(*shlex.split(line.partition("cado-ops ")[2]), "--yes").code == 0
        assert "CadoResponseSSMEnabled" not in tags()["web-01"]
        assert grants().ours("acme-ebs") == []

    def test_what_it_changed_is_no_error_where_nothing_can_be_read_afterwards(
        self, cli: Cli, ids: Any, sandbox: Any, tags: Any
    ) -> None:
        done: list[Any] = []

        def intercept(request: Any) -> Any:
            if request.action == "CreateTags":
                done.append(request)
            if request.action == "DescribeInstances" and done:
                return request.error("InternalError", "An internal error has occurred", 500)
            return None

        sandbox.intercept = intercept
        result = cli.json("check", ids()["web-01"], *IN_PROD, "--fix", "--yes")
        assert done
        assert tags()["web-01"]["CadoResponseSSMEnabled"] == "True"
        assert (result.code, result.json["status"]) == (3, "partial")
        assert result.json["summary"]["targets_failed"] == 1

    def test_nor_where_the_session_is_over(self, cli: Cli, ids: Any, sandbox: Any, tags: Any) -> None:
        done: list[Any] = []

        def intercept(request: Any) -> Any:
            if request.action == "CreateTags":
                done.append(request)
            if done and request.service != "ec2":
                return request.error("ExpiredToken", "The security token included in the request is expired", 403)
            return None

        sandbox.intercept = intercept
        result = cli.json("check", ids()["web-01"], *IN_PROD, "--fix", "--yes")
        assert tags()["web-01"]["CadoResponseSSMEnabled"] == "True"
        assert (result.code, result.json["status"]) == (3, "partial")
        assert result.json["run_id"]
        assert result.json["failures"]

    def test_its_changes_are_no_items_of_check(self, cli: Cli, ids: Any) -> None:
        lines = cli("check", ids()["web-01"], *IN_PROD, "--fix", "--yes", "-o", "ndjson").lines
        assert [line["type"] for line in lines] == ["item", "summary"]
        assert lines[0]["routes"] == {"triage": "ready", "disk": "ready"}
        assert lines[1]["run_id"]

    def test_whoever_says_no_at_the_terminal_sees_the_findings_all_the_same(self, cli: Cli, ids: Any) -> None:
        result = cli("check", ids()["web-01"], *IN_PROD, "--fix", stdin=Terminal("n\n"), stderr=Terminal())
        assert result.code == 4
        assert "block tag" in result.out
        assert "CreateGrant" not in result.err, "what was not reached is not asked about"

    def test_a_grant_with_create_grant_is_warned_of(self, cli: Cli, ids: Any) -> None:
        assert "pass the access on" in cli("check", ids()["web-03"], *IN_PROD, "--fix", "--yes").err

    def test_a_dry_run_of_the_settings_holds(
        self, cli: Cli, ids: Any, tags: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CADO_OPS_DRY_RUN", "true")
        result = cli("check", ids()["web-01"], *IN_PROD, "--fix")
        assert (result.code, cli.runs()) == (3, [])
        assert "changes nothing" in result.err
        assert "CadoResponseSSMEnabled" not in tags()["web-01"]

    def test_not_confirmed(self, cli: Cli, ids: Any, tags: Any) -> None:
        named = ("check", ids()["web-01"], *IN_PROD, "--fix")
        result = cli.json(*named)
        assert (result.code, result.json["status"]) == (4, "refused")
        assert result.json["failures"][0]["error"]["code"] == "NotConfirmed"
        assert routes(result.json["items"][0]) == ("blocked", "blocked"), "and is shown what is wrong"
        assert cli.json(*named, stdin=Terminal("n\n"), stderr=Terminal()).code == 4
        assert cli.runs() == []
        assert "CadoResponseSSMEnabled" not in tags()["web-01"]

    def test_one_kind_may_be_confirmed_and_the_other_not(self, cli: Cli, ids: Any, tags: Any, grants: Any) -> None:
        named = ("check", ids()["web-01"], *IN_PROD, "--fix")
        result = cli.json(*named, stdin=Terminal("y\nn\n"), stderr=Terminal())
        assert result.code == 4
        assert tags()["web-01"]["CadoResponseSSMEnabled"] == "True"
        assert grants().ours("acme-ebs") == []
        [item] = result.json["items"]
        assert routes(item) == ("ready", "blocked"), "what was mended is told as it is now"

    def test_caps_hold(self, cli: Cli, ids: Any) -> None:
        named = ids()
        result = cli.json(
            "check", named["web-01"], named["web-02"], *IN_PROD, "--fix", "--yes", "--max-changes", "1"
        )
        assert (result.code, result.json["failures"][0]["error"]["code"]) == (4, "TooManyChanges")

    def test_what_is_set_on_purpose_stays(self, cli: Cli, ids: Any, tags: Any) -> None:
        result = cli.json("check", ids()["batch-02"], *IN_PROD, "--fix", "--yes")
        assert result.code == 3
        assert tags()["batch-02"]["CadoResponseSSMEnabled"] == "False"

    def test_nothing_to_mend_asks_nothing(self, cli: Cli, ids: Any) -> None:
        result = cli.json("check", ids(HOME)["siem-01"], "--region", EU, "--fix")
        assert (result.code, cli.runs()) == (0, [])

    def test_what_failed_is_told(self, cli: Cli, ids: Any, sandbox: Any) -> None:
        sandbox.intercept = denial("kms:CreateGrant")
        result = cli.json("check", ids()["web-03"], *IN_PROD, "--fix", "--yes")
        assert result.code == 3
        [failed] = result.json["failures"]
        assert (failed["stage"], failed["error"]["code"]) == ("kms grant", "AccessDeniedException")
        assert routes(result.json["items"][0]) == ("ready", "blocked")


class TestWait:
    def test_until_it_is_ready(self, cli: Cli, ids: Any, aws: Any) -> None:
        there = ids()["web-02"]
        assert cli("check", there, *IN_PROD, "--fix", "--yes", "--case", "IR-5").code == 0
        aws(PROD, EU).delete_tags(Resources=[there], Tags=[{"Key": "CadoResponseSSMEnabled"}])

        class Sleeps(list[float]):
            def append(self, seconds: float) -> None:
                super().append(seconds)
                if len(self) == 3:
                    tag = {"Key": "CadoResponseSSMEnabled", "Value": "True"}
                    aws(PROD, EU).create_tags(Resources=[there], Tags=[tag])

        cli.waits = Sleeps()
        result = cli.json("check", there, *IN_PROD, "--wait")
        assert (result.code, cli.waits) == (0, [5, 10, 20])
        assert "1 instance not ready: looking again in 5 s" in result.err

    def test_no_longer_than_asked(self, cli: Cli, ids: Any) -> None:
        result = cli.json("check", ids()["web-01"], *IN_PROD, "--wait", "--timeout", "3m20s")
        assert result.code == 3
        assert cli.waits == [5, 10, 20, 40, 60, 60, 5]
        assert "the time is over" in result.err

    def test_what_is_ready_is_not_waited_for(self, cli: Cli, ids: Any) -> None:
        assert cli("check", ids(HOME)["siem-01"], "--region", EU, "--wait").code == 0
        assert cli.waits == []

    def test_ctrl_c(self, cli: Cli, ids: Any) -> None:
        class Interrupted(list[float]):
            def append(self, seconds: float) -> None:
                raise KeyboardInterrupt

        cli.waits = Interrupted()
        result = cli.json("check", ids()["web-01"], *IN_PROD, "--wait")
        assert (result.code, result.json["status"]) == (130, "interrupted")


def test_each_thing_is_asked_for_once(cli: Cli, sandbox: Any) -> None:
    """18 instances, their volumes under four keys, one role: lists, and a call for each key and policy."""
    result = cli.json("check", "--all", *IN_PROD)
    asked = Counter(f"{call.service}:{call.action}" for call in sandbox.calls)
    keys = {
        each["detail"].partition("encrypted with key ")[2].partition(":")[0]
        for item in result.json["items"]
        for each in item["findings"]
        if each["check"] == "volume" and "encrypted with key" in each["detail"]
    }
    assert len(keys) == 3
    simulated = asked.pop("iam:SimulatePrincipalPolicy")
    assert simulated <= 6
    assert asked == {
        "sts:GetCallerIdentity": 1,
        "sts:AssumeRole": 1,
        "ec2:DescribeInstances": 1,
        "ec2:DescribeVolumes": 1,
        "ec2:DescribeInstanceTypes": 1,
        "ssm:DescribeInstanceInformation": 2,  # one for hybrid nodes, because an instance is not listed
        "ssm:GetServiceSetting": 1,
        "iam:GetRole": 1,
        "iam:ListRolePolicies": 1,
        "iam:GetRolePolicy": 1,
        "iam:ListAttachedRolePolicies": 1,
        "kms:DescribeKey": 4,
        "kms:GetKeyPolicy": 3,
        "kms:ListGrants": 3,
    }


def test_the_table_fits_80_columns(cli: Cli, ids: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    named = ids()
    result = cli("check", named["web-01"], named["db-03"], *IN_PROD)
    lines = result.out.splitlines()
    assert "because of" in lines[0]
    [row] = [line for line in lines if line.startswith(PROD) and named["web-01"] in line]
    assert row.split() == [PROD, EU, named["web-01"], "blocked", "blocked", "tag,", "volume"]
    shown = [line for line in lines if not line.lstrip().startswith(("fix:", "fix in ", "next:"))]
    assert max(map(len, shown)) <= 80, "commands stay whole, so that they can be pasted"
    assert any(
        line.startswith("next: cado-ops check") and line.endswith("--fix")
        for line in lines + result.err.splitlines()
    )


def test_other_outputs(cli: Cli, ids: Any) -> None:
    there = ids()["web-01"]
    csv = cli("check", there, *IN_PROD, "-o", "csv")
    assert csv.out.splitlines()[0] == "account,region,instance_id,triage,disk,findings"
    lines = cli("check", there, *IN_PROD, "-o", "ndjson").lines
    assert [line["type"] for line in lines] == ["item", "summary"]
    assert lines[-1]["status"] == "partial"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("--region", EU), "nothing is selected"),
        (("--all", "--timeout", "soon"), "--timeout"),
        (("--all", "--timeout", "0s"), "--timeout"),
        (("--all", "--timeout", "25h"), "a day at most"),
        (("--all", "--expires", "72h"), "needs --case"),
        (("mi-0123456789abcdef0",), "hybrid"),
    ],
)
def test_wrong_usage(cli: Cli, sandbox: Any, argv: tuple[str, ...], words: str) -> None:
    result = cli("check", *argv)
    assert (result.code, result.out) == (2, "")
    assert words in result.err
    assert sandbox.calls == []


def test_a_cado_role_of_an_account_that_is_not_in_scope(cli: Cli, ids: Any) -> None:
    result = cli("check", ids()["web-01"], *IN_PROD, "--cado-role", CADO_IN_STAGING)
    assert (result.code, result.out) == (2, "")
    assert f"add --account {STAGING}" in result.err


def test_stdin_and_a_question(cli: Cli, ids: Any) -> None:
    there = ids()["web-01"]
    result = cli("check", "-", *IN_PROD, "--fix", stdin=there)
    assert (result.code, result.out) == (2, "")
    assert cli("check", "-", *IN_PROD, "--fix", "--yes", stdin=there).code == 0


def test_matching_nothing(cli: Cli) -> None:
    nothing = ("check", "--filter", "tag:Name=nobody", *IN_PROD)
    result = cli.json(*nothing)
    assert (result.code, result.json["items"]) == (0, [])
    assert "nothing matches" in result.err
    assert cli.json(*nothing, "--fail-empty").code == 3


def test_an_id_that_is_nowhere(cli: Cli, ids: Any) -> None:
    result = cli.json("check", "i-00000000000000000", ids()["dc-01"], *IN_PROD)
    assert result.code == 3
    assert [(each["stage"], each["id"]) for each in result.json["failures"]] == [("select", "i-00000000000000000")]
