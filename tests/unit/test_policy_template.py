"""Policies of templates: those that conditions decide on, those of one role together, and whose are meant."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from cado_ops.errors import PolicyError
from cado_ops.policy.cado_role import cado_roles
from cado_ops.policy.evaluate import Decision
from cado_ops.policy.lint_file import lint_roles
from cado_ops.policy.parts import Wish
from cado_ops.policy.rules import Finding, Severity
from cado_ops.policy.source import PolicyFile, read_policy_file
from cado_ops.policy.tighten import tighten
from cado_ops.policy.yaml_text import write_yaml
from tests.unit.policies.mutations import deployed, templated
from tests.unit.policies.requests import asked, decision

TAG = "ssm:resourceTag/CadoResponseSSMEnabled"
PREAMBLE = """\
# Ours.
Conditions:
  WithSessions: !Equals [a, b]
  WithKeys: !Equals [a, c]
Resources:
"""


def role(name: str, *properties: str, condition: str = "") -> str:
    lines = "".join(f"      {line}\n" for each in properties for line in each.split("\n"))
    made = f"    Condition: {condition}\n" if condition else ""
    return f"  {name}:\n    Type: AWS::IAM::Role\n{made}    Properties:\n{lines}"


def managed(name: str, statements: str, more: str = "", condition: str = "") -> str:
    made = f"    Condition: {condition}\n" if condition else ""
    return (
        f"  {name}:\n    Type: AWS::IAM::ManagedPolicy\n{made}    Properties:\n"
        f"      PolicyDocument: {{Version: '2012-10-17', Statement: {statements}}}\n"
        + (f"      {more}\n" if more else "")
    )


def allow(action: str, sid: str = "S", resource: str = "'*'") -> str:
    return f"{{Sid: {sid}, Effect: Allow, Action: {action}, Resource: {resource}}}"


def inline(*statements: str) -> str:
    return f"{{PolicyName: P, PolicyDocument: {{Version: '2012-10-17', Statement: [{', '.join(statements)}]}}}}"


TARGETS = (
    "[!Sub 'arn:${AWS::Partition}:ec2:*:*:instance/*', !Sub 'arn:${AWS::Partition}:ssm:*:*:managed-instance/*']"
)
GUARD = (
    f"{{Sid: Guard, Effect: Deny, Action: ssm:SendCommand, Resource: {TARGETS}, "
    f"Condition: {{StringNotEquals: {{'{TAG}': 'True'}}}}}}"
)


def read(*resources: str) -> PolicyFile:
    return read_policy_file(PREAMBLE + "".join(resources), "template.yaml")


def check(file: PolicyFile, *named: str, **about: Any) -> dict[str, list[Finding]]:
    roles, _ = cado_roles(file.holders(), named, file.default_partitions)
    found: dict[str, list[Finding]] = {}
    for each in lint_roles(file, roles, about):
        # Behind the line, where there is one.
        message = re.sub(r"^line \d+: ", "", each.message)
        found.setdefault(each.rule, []).append(replace(each, message=message))
    return found


def tightened(file: PolicyFile, *named: str) -> PolicyFile:
    roles, _ = cado_roles(file.holders(), named, file.default_partitions)
    owners = {owner for each in roles for owner in each.owners}
    wish = Wish(default=file.default_partitions)
    results = {each.path: tighten(each.document, wish).items for each in file.found if each.owner in owners}
    return read_policy_file(file.with_statements(results), file.where)


def errors(file: PolicyFile, *named: str) -> set[str]:
    return {rule for rule, each in check(file, *named).items() if each[0].severity is Severity.ERROR}


SHELL = allow("ssm:StartSession", "Shell")
TAGS = allow("ec2:CreateTags", "Tags")
SEND = allow("ssm:SendCommand", "Send")
BRANCHES = {
    "policies": f"Policies: !If [WithSessions, [{inline(SHELL)}], [{inline(TAGS)}]]",
    "policy": f"Policies:\n- {inline(SEND)}\n- !If [WithSessions, {inline(SHELL)}, {inline(TAGS)}]",
    "policy, written out": f"Policies:\n- Fn::If:\n  - WithSessions\n  - {inline(SHELL)}\n  - {inline(TAGS)}",
    "document": "Policies:\n- PolicyName: P\n  PolicyDocument: !If\n"
    f"  - WithSessions\n  - {{Statement: [{SHELL}]}}\n  - {{Statement: [{TAGS}]}}",
    "statements": "Policies:\n- PolicyName: P\n  PolicyDocument:\n    Version: '2012-10-17'\n    Statement: !If\n"
    f"    - WithSessions\n    - [{SHELL}]\n    # tags\n    - - {TAGS}  # oh",
    "statement": f"Policies: [{inline(SEND, f'!If [WithSessions, {SHELL}, {TAGS}]')}]",
    "one statement": "Policies:\n- PolicyName: P\n  PolicyDocument: {Version: '2012-10-17', Statement: "
    f"!If [WithSessions, {SHELL}, {TAGS}]}}",
    "action": f"Policies: [{inline(allow('!If [WithSessions, ssm:StartSession, ec2:CreateTags]'))}]",
    "actions": f"Policies: [{inline(allow('[!If [WithSessions, ssm:StartSession, ec2:CreateTags]]'))}]",
}


@pytest.mark.parametrize("form", BRANCHES)
def test_both_branches_are_judged_and_each_finding_names_its_own(form: str) -> None:
    found = check(read(role("R", BRANCHES[form])))
    [session], [tags] = found["start-session-open"], found["sets-the-tag"]
    assert session.message.startswith("if WithSessions: ssm:StartSession")
    assert tags.message.startswith("unless WithSessions: ec2:CreateTags")
    assert "R.Policies[" in str(session.statement)


@pytest.mark.parametrize("form", BRANCHES)
def test_both_branches_are_tightened_in_place(form: str) -> None:
    file = read(role("R", BRANCHES[form]))
    once = tightened(file)
    assert errors(once) == set()
    assert tightened(once).text == once.text, "tightening twice is tightening once"
    assert once.text.startswith(PREAMBLE), "comments and functions elsewhere stay"
    assert "WithSessions" in once.text.removeprefix(PREAMBLE)
    for before, after in zip(file.holders()[0].held, once.holders()[0].held, strict=True):
        for request in asked("aws"):
            now, was = ([decision_of(each, request) for each in held.documents] for held in (after, before))
            if Decision.ALLOW in now and Decision.DENY not in now:
                assert Decision.ALLOW in was, (request, before.way)


def decision_of(document: Any, request: Any) -> Decision:
    from cado_ops.policy.document import document_from

    return decision(document_from(deployed(document.as_json(), "aws"), "policy"), request, "aws")


def test_what_is_not_changed_in_a_branch_keeps_its_comments() -> None:
    text = tightened(read(role("R", BRANCHES["statements"]))).text
    assert "# tags\n" in text
    assert "!If" in text


def test_without_a_branch_there_is_nothing_in_it() -> None:
    file = read(role("R", f"Policies: [!If [WithSessions, {inline(SEND)}, !Ref AWS::NoValue]]"))
    found = check(file)
    assert found["send-command-untagged"][0].message.startswith("if WithSessions: ")
    assert found["send-command-missing"][0].message.startswith("unless WithSessions: ")
    assert found["send-command-missing"][0].statement == "R"
    nothing = read(role("R", f"Policies: [{{PolicyName: P, PolicyDocument: {{Statement: !If [WithKeys, [{SEND}], "
                             "!Ref AWS::NoValue]}}]"))  # fmt: skip
    assert errors(nothing) == {"send-command-untagged", "send-command-documents"}


@pytest.mark.parametrize(
    "slot",
    [
        "Policies: !FindInMap [A, B, C]",
        "Policies: [!FindInMap [A, B, C]]",
        "Policies: !If [C, !Ref Listed, []]",
        "Policies: [{PolicyName: A, PolicyDocument: !Transform {Name: X}}]",
        "Policies: [{PolicyName: A, PolicyDocument: '{}'}]",
        "Policies: !If [C, []]",
    ],
)
def test_what_another_function_decides_on_is_refused_and_not_passed_over(slot: str) -> None:
    with pytest.raises(PolicyError, match=r"decides on deployment|is an object"):
        read(role("R", slot))


def test_a_loop_over_roles_is_refused() -> None:
    loop = "  Fn::ForEach::Roles: [Name, [A, B], {'Role${Name}': {Type: AWS::IAM::Role, Properties: {}}}]\n"
    with pytest.raises(PolicyError, match="decides on deployment"):
        read(loop, role("R", f"Policies: [{inline(SEND)}]"))


def test_more_conditions_than_can_be_looked_at_are_refused() -> None:
    many = ", ".join(
        f"!If [C{number}, {allow('s3:GetObject', f'S{number}')}, !Ref AWS::NoValue]" for number in range(9)
    )
    with pytest.raises(PolicyError, match="9 conditions decide"):
        read(role("R", f"Policies: [{inline(many)}]")).holders()


@pytest.mark.parametrize(
    ("of_role", "of_policy"),
    [
        ("ManagedPolicyArns: [!Ref More]", ""),
        ("ManagedPolicyArns: [!GetAtt More.PolicyArn]", ""),
        ("ManagedPolicyArns: !If [C, [!Ref More], [!Ref More]]", ""),
        ("Path: /", "Roles: [!Ref R]"),
        ("RoleName: CadoResponseRole", "Roles: [CadoResponseRole]"),
        ("RoleName: !Sub 'CadoResponse-${X}'", "Roles: [!Sub 'CadoResponse-${X}']"),
    ],
)
def test_policies_that_are_attached_count_together(of_role: str, of_policy: str) -> None:
    """A Deny in one closes what the other allows, and what one allows is not missing in the other."""
    send = role("R", of_role, f"Policies: [{inline(SEND)}]")
    assert "send-command-untagged" not in check(read(send, managed("More", f"[{GUARD}]", of_policy)))
    assert "send-command-untagged" in check(read(send, managed("More", f"[{SHELL}]", of_policy)))
    found = check(read(send, managed("More", f"[{SHELL}]", of_policy)))
    assert found["start-session-open"][0].statement == "More.statement 1 (Shell)"


def test_a_policy_that_is_attached_in_one_way_alone() -> None:
    """Its Deny closes nothing in the other."""
    send = role(
        "R", "ManagedPolicyArns: [!If [WithKeys, !Ref More, !Ref AWS::NoValue]]", f"Policies: [{inline(SEND)}]"
    )
    [found] = check(read(send, managed("More", f"[{GUARD}]")))["send-command-untagged"]
    assert found.message.startswith("unless WithKeys: ")
    made = role("R", "Path: /", f"Policies: [{inline(SEND)}]")
    [found] = check(read(made, managed("More", f"[{GUARD}]", "Roles: [!Ref R]", condition="WithKeys")))[
        "send-command-untagged"
    ]
    assert found.message.startswith("unless WithKeys: ")
    both = role("R", "Path: /", f"Policies: [{inline(SEND)}]", condition="WithKeys")
    more = managed("More", f"[{GUARD}]", "Roles: [!Ref R]", condition="WithKeys")
    assert "send-command-untagged" not in check(read(both, more)), "where there is no role, nothing is open"


def test_managed_policies_that_were_not_read_are_told() -> None:
    power = "arn:aws:iam::aws:policy/PowerUserAccess"
    arns = f"ManagedPolicyArns: [{power}, !If [WithKeys, !ImportValue Ours, !Ref More]]"
    found = check(read(role("R", arns, f"Policies: [{inline(SEND)}]"), managed("More", f"[{TAGS}]")))
    told = [each.message.partition(" is attached")[0] for each in found["managed-not-read"]]
    assert told == [power, "if WithKeys: Ours"]
    assert found["managed-not-read"][0].severity is Severity.WARNING
    assert found["sets-the-tag"][0].message.startswith("unless WithKeys: ")


def test_policies_of_a_role_that_the_template_does_not_hold_count_together() -> None:
    two = (managed("One", f"[{SEND}]", "Roles: [!Ref Name]"), managed("Two", f"[{GUARD}]", "Roles: [!Ref Name]"))
    assert "send-command-untagged" not in check(read(*two))
    apart = (managed("One", f"[{SEND}]", "Roles: [!Ref Name]"), managed("Two", f"[{GUARD}]"))
    assert "send-command-untagged" in check(read(*apart))


OURS = (
    "{ForAllValues:StringLike: {aws:TagKeys: [CadoResponseSSMEnabled, 'cado-ops:case/*']}, "
    "'Null': {aws:TagKeys: 'false'}}"
)
OPERATOR = f"{{Effect: Allow, Action: [ec2:CreateTags, ec2:DeleteTags], Resource: '*', Condition: {OURS}}}"
RETIRED = "{StringEquals: {kms:RetiringPrincipal: !Sub 'arn:${AWS::Partition}:iam::1:role/CadoOperator'}}"
GRANTS = f"{{Effect: Allow, Action: kms:CreateGrant, Resource: '*', Condition: {RETIRED}}}"


@pytest.mark.parametrize(
    ("statement", "name", "is_meant"),
    [
        (SEND, "X", True),
        (SHELL, "X", True),
        (allow("ssm:*"), "X", True),
        (allow("ebs:GetSnapshotBlock"), "X", True),
        (allow("kms:CreateGrant"), "X", True),
        (OPERATOR, "CadoOperator", False),
        (GRANTS, "CadoOperator", False),
        # It may set the tag, and use it: the worst there is, whatever it looks like.
        (f"{OPERATOR}, {SEND}", "CadoOperator", True),
        (OPERATOR, "!Sub 'CadoResponseRole-${X}'", True),
        (OPERATOR, "MyDarktraceForensics", True),
        (TAGS, "X", False),
        (allow("logs:*"), "CadoResponseRole", True),
        (allow("[logs:PutLogEvents, kms:Decrypt]"), "X", False),
        (f"{allow('ssm:*')}, {{Effect: Deny, Action: ssm:*, Resource: '*'}}", "X", False),
    ],
)
def test_which_role_is_the_cado_role(statement: str, name: str, is_meant: bool) -> None:
    cado = role("Cado", f"Policies: [{inline(SEND)}]")
    file = read(cado, role("Other", f"RoleName: {name}", f"Policies: [{inline(statement)}]"))
    chosen, remarks = cado_roles(file.holders())
    assert ["Other" in [each.name for each in chosen], len(remarks)] == [is_meant, int(not is_meant)]
    if not is_meant:
        before, after = ([each for each in one.found if each.owner == "Other"] for one in (file, tightened(file)))
        assert after == before


def test_a_role_that_is_named_is_meant_and_no_other() -> None:
    file = read(
        role("Cado", f"Policies: [{inline(SEND)}]"), role("Mine", "RoleName: M", f"Policies: [{inline(OPERATOR)}]")
    )
    for name in ("Mine", "M"):
        chosen, remarks = cado_roles(file.holders(), [name])
        assert [each.name for each in chosen] == ["Mine"]
        assert remarks == ["Cado: not the role that was named"]
    assert [each.name for each in cado_roles(file.holders(), ["Nobody"])[0]] == ["Cado"]


def test_the_only_role_is_meant_unless_it_is_the_operators() -> None:
    assert cado_roles(read(role("R", f"Policies: [{inline(TAGS)}]")).holders())[1] == []
    chosen, [remark] = cado_roles(read(role("R", f"Policies: [{inline(OPERATOR)}]")).holders())
    assert chosen == []
    assert "as the operator role does" in remark


def test_a_policy_that_names_no_partition_is_closed_in_that_of_the_deployment() -> None:
    text = tightened(read(role("R", f"Policies: [{inline(allow('ssm:*'))}]"))).text
    assert "arn:aws:" not in text
    assert "${AWS::Partition}:ec2:*:*:instance/*" in text
    named = allow("'ssm:*'", resource="['*', 'arn:aws-cn:s3:::a']")
    assert "arn:aws-cn:ec2" in tightened(read(role("R", f"Policies: [{inline(named)}]"))).text


def test_templates_in_json() -> None:
    statements = [{"Sid": "A", "Effect": "Allow", "Action": "ssm:StartSession", "Resource": "*"}]
    policy = {"PolicyName": "P", "PolicyDocument": {"Version": "2012-10-17", "Statement": statements}}
    template = {"Resources": {"R": {"Type": "AWS::IAM::Role", "Properties": {
        "Policies": {"Fn::If": ["C", [policy], {"Ref": "AWS::NoValue"}]}}}}}  # fmt: skip
    file = read_policy_file(json.dumps(template), "template.json")
    assert check(file)["start-session-open"][0].message.startswith("if C: ")
    assert errors(tightened(file)) == set()


def test_statements_that_say_the_same_are_told_apart() -> None:
    same = (
        f"!If [{name}, {allow('ssm:StartSession')}, !Ref AWS::NoValue]" for name in ("WithKeys", "WithSessions")
    )
    found = check(read(role("R", f"Policies: [{inline(SEND, *same)}]")))["start-session-open"]
    told = [(each.statement, each.message.partition(":")[0]) for each in found]
    assert told == [
        ("R.Policies[0].statement 2 (S)", "if WithKeys"),
        ("R.Policies[0].statement 3 (S)", "if WithSessions"),
    ]


@pytest.mark.parametrize("chunk", range(4))
def test_planted_faults_in_a_branch_are_found_there_and_ended(chunk: int) -> None:
    for seed in range(chunk, 36, 4):
        template, faults, branch = templated(seed)
        text = write_yaml(template) if seed % 5 == 0 else json.dumps(template)
        file = read_policy_file(text, "template")
        found = check(file, "Cado", platform_region="eu-west-1", platform_org="o-ours000001")
        for fault in faults:
            if fault.rules == ("partition",):
                continue  # in this form there is but one
            told = [each.message for rule in fault.rules for each in found.get(rule, ())]
            assert any(each.startswith(f"{branch}: ") for each in told), (seed, fault.rules, told)
        once = tightened(file, "Cado")
        assert errors(once, "Cado") == set(), seed
        assert tightened(once, "Cado").text == once.text, seed
