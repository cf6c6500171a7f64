"""The evaluator: who may do what, by which policy, and what stays open."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cado_ops.model import Grant
from cado_ops.policy.document import Document, document_from
from cado_ops.policy.evaluate import Decision, Kind, Policies, Policy, Verdict, evaluate, evaluate_all, together
from cado_ops.policy.library import key_policy, ssm_default, ssm_tagged, ssm_tagged_documented
from cado_ops.policy.names import Names
from cado_ops.policy.request import Request

HOME, OTHER = "111111111111", "222222222222"
ROLE = f"arn:aws:iam::{HOME}:role/ir/CadoResponseRole"
SESSION = f"arn:aws:sts::{HOME}:assumed-role/CadoResponseRole/platform"
USER = f"arn:aws:iam::{HOME}:user/Alice"
ROOT = f"arn:aws:iam::{HOME}:root"
KEY = f"arn:aws:kms:eu-west-1:{HOME}:key/11111111-2222-3333-4444-555555555555"
INSTANCE = f"arn:aws:ec2:eu-west-1:{HOME}:instance/i-0123456789abcdef0"
DOCUMENT = "arn:aws:ssm:eu-west-1::document/AWS-RunShellScript"
TAG = "ssm:resourceTag/CadoResponseSSMEnabled"
NAMES = Names(account=HOME)


def policy(*statements: dict[str, Any], version: str | None = "2012-10-17") -> Policy:
    head = {"Version": version} if version else {}
    return Policy("p", document_from({**head, "Statement": list(statements)}, "p"))


def allow(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


def by(principal: Any, effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Principal": principal, "Action": "kms:*", "Resource": "*", **more}


ALL = policy(allow())
NOTHING = policy(allow("s3:GetObject"))
UNREADABLE = Policy("Foo", None, "AccessDenied: iam:GetPolicy")


def ask(action: str, resource: str = "*", context: dict[str, Any] | None = None, **more: Any) -> Request:
    return Request(
        **{"principal": ROLE, "complete": True, **more}, action=action, resource=resource, context=context or {}
    )


DECRYPT = ask("kms:Decrypt", KEY, session=SESSION)
SEND = ask("ssm:SendCommand", INSTANCE)


def decide(request: Request, **policies: Any) -> str:
    return str(evaluate(request, Policies(**policies)).decision)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (allow("ssm:SendCommand"), "allow"),
        (allow("SSM:sendcommand"), "allow"),
        (allow("ssm:*"), "allow"),
        (allow("ssm:Send?ommand"), "allow"),
        (allow(["ec2:*", "ssm:Send*"]), "allow"),
        (allow("ssm:SendCommands"), "deny"),
        ({"Effect": "Allow", "NotAction": "ec2:*", "Resource": "*"}, "allow"),
        ({"Effect": "Allow", "NotAction": "ssm:send*", "Resource": "*"}, "deny"),
        ({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::*"}, "allow"),
        ({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:ec2:*:*:instance/*"}, "deny"),
        (allow(resource=INSTANCE), "allow"),
        (allow(resource=INSTANCE.upper()), "deny"),
        (allow(resource="arn:aws:ec2:*:*:instance/i-????????????????0"), "allow"),
        (allow(resource="arn:*:ec2:eu-*:111111111111:*"), "allow"),
        (allow(resource="arn:aws:ec2:*"), "allow"),  # a segment's last * goes past the colons
        (allow(resource="arn:aws:e*t-1:111111111111:instance/*"), "deny"),  # any other does not
        (allow(resource="arn:aws:ec2:us-*:*:instance/*"), "deny"),
        (allow(resource="arn:aws:ec2:*:*:instance/${aws:PrincipalTag/Id, 'i-0123456789abcdef0'}"), "allow"),
        (allow(resource="arn:aws:ec2:*:*:instance/${aws:PrincipalTag/Id}"), "deny"),
        (allow(resource="arn:aws:ec2:*:${aws:PrincipalAccount}:instance/*"), "unknown"),
        (allow(resource="arn:aws:ec2:*:${aws:PrincipalAccount}:volume/*"), "deny"),
        (allow(resource={"Fn::Sub": "arn:${AWS::Partition}:ec2:*:*:instance/*"}), "unknown"),
        (allow(action={"Ref": "Action"}), "unknown"),
        ({"Fn::If": ["Wide", {}, {"Ref": "AWS::NoValue"}]}, "unknown"),
        (allow(Condition={"StringLike": {TAG: "True"}}), "deny"),
        (allow(Condition={"StringNotLike": {TAG: "True"}}), "allow"),
        (allow(Condition={"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/ir/*"}}), "allow"),
        (allow(Condition={"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}), "allow"),
        (allow(Condition={"StringEquals": {"aws:ResourceAccount": "${aws:PrincipalAccount}"}}), "allow"),
        (allow(Condition={"Fn::If": ["A", {}, {}]}), "unknown"),
    ],
)
def test_statements_of_an_identity_policy(statement: dict[str, Any], expected: str) -> None:
    assert decide(SEND, identity=(policy(statement),)) == expected


def test_variables_are_text_in_the_old_version() -> None:
    statement = allow(Condition={"StringEquals": {"aws:PrincipalTag/A": "${aws:PrincipalTag/A}"}})
    request = ask("ssm:SendCommand", INSTANCE, {"aws:PrincipalTag/A": "x"})
    assert decide(request, identity=(policy(statement),)) == "allow"
    assert decide(request, identity=(policy(statement, version="2008-10-17"),)) == "deny"
    assert decide(request, identity=(policy(statement, version=None),)) == "deny"


def test_an_action_without_resources_knows_the_star_alone() -> None:
    """Service Authorization Reference: it has neither resource types nor condition keys."""
    for asked in ("*", INSTANCE):
        request = ask("ssm:DescribeInstanceInformation", asked, {"aws:SourceIp": "10.0.0.1"}, complete=False)
        assert decide(request, identity=(policy(allow(resource=INSTANCE)),)) == "deny"
        assert decide(request, identity=(policy(allow(resource="arn:aws:ec2:*:*:instance/*")),)) == "deny"
        assert decide(request, identity=(policy(allow()),)) == "allow"
        tagged = allow(Condition={"StringLike": {TAG: "True"}})
        assert decide(request, identity=(policy(tagged),)) == "deny", "the service sends no such key for it"


def test_a_resource_that_was_not_told() -> None:
    request = ask("ssm:SendCommand")
    assert decide(request, identity=(ALL,)) == "allow"
    assert decide(request, identity=(policy(allow(resource=INSTANCE)),)) == "unknown"
    assert decide(request, identity=(policy(allow("ec2:*", INSTANCE)),)) == "deny"


def test_unknowns() -> None:
    request = replace(SEND, complete=False)
    tagged = policy(allow(Condition={"StringLike": {TAG: "True"}}))
    found = evaluate(request, Policies((tagged,)))
    assert (found.decision, found.reasons) == (Decision.UNKNOWN, (f"the request does not tell {TAG}",))
    assert decide(request, identity=(tagged, ALL)) == "allow", "another policy allows it whatever the tag"
    assert decide(request, identity=(tagged, policy(deny("ssm:*")))) == "deny", "a certain deny beats it"
    perhaps_denied = policy(deny(Condition={"StringLike": {TAG: "False"}}))
    assert decide(request, identity=(ALL, perhaps_denied)) == "unknown"
    assert decide(request, identity=(NOTHING, perhaps_denied)) == "deny", "either way it is denied"
    assert decide(request, identity=(ALL, UNREADABLE)) == "unknown"
    assert evaluate(request, Policies((UNREADABLE,))).reasons == ("Foo: AccessDenied: iam:GetPolicy",)
    known_absent = replace(request, absent=("ssm:ResourceTag/*",))
    assert decide(known_absent, identity=(tagged,)) == "deny"
    assert decide(replace(request, context={TAG: "True"}), identity=(tagged,)) == "allow"
    intrinsic = policy({**allow(), "Effect": {"Ref": "Effect"}})
    assert decide(request, identity=(intrinsic,)) == "unknown"
    assert decide(request, identity=(ALL, intrinsic)) == "unknown", "it may be a Deny"


@pytest.mark.parametrize(
    ("policies", "kind", "explicit"),
    [
        ({"identity": ()}, Kind.IDENTITY, False),
        ({"identity": (ALL, policy(deny("ssm:Send*")))}, Kind.IDENTITY, True),
        ({"boundary": (NOTHING,)}, Kind.BOUNDARY, False),
        ({"boundary": (policy(allow(), deny("ssm:*")),)}, Kind.BOUNDARY, True),
        ({"session": (NOTHING,)}, Kind.SESSION, False),
        ({"session": (policy(deny()),)}, Kind.SESSION, True),
        ({"scps": ((ALL,), (NOTHING,))}, Kind.SCP, False),
        ({"scps": ((ALL,), (ALL, policy(deny("ssm:*"))))}, Kind.SCP, True),
    ],
)
def test_what_denied(policies: dict[str, Any], kind: Kind, explicit: bool) -> None:
    found = evaluate(SEND, Policies(**{"identity": (ALL,), **policies}))
    assert (found.decision, found.kind, found.explicit) == (Decision.DENY, kind, explicit)
    assert (found.policy, str(found.statement)) == (("p", str(found.statement)) if explicit else (None, "None"))


def test_every_level_of_scps_has_to_allow() -> None:
    assert decide(SEND, identity=(ALL,), scps=((ALL,), (NOTHING, ALL), (ALL,))) == "allow"
    assert decide(SEND, identity=(ALL,), scps=((ALL,), ())) == "deny"


def test_rcps_deny_and_never_allow_and_bind_their_services_alone() -> None:
    rcp = policy(by("*", "Deny", Action="*"))
    key = policy(by({"AWS": ROOT}))
    found = evaluate(DECRYPT, Policies((ALL,), resource=key, rcps=((rcp,),)))
    assert (found.kind, found.explicit) == (Kind.RCP, True)
    assert (
        decide(DECRYPT, identity=(ALL,), resource=key, rcps=((policy(by("*", "Deny", Action="s3:*")),),)) == "allow"
    )
    assert decide(SEND, identity=(ALL,), rcps=((rcp,),)) == "allow", "EC2 and SSM are none of them"


# Requests within one account. "Key policies in AWS KMS"; "Policy evaluation for requests within a single account".
@pytest.mark.parametrize(
    ("principal", "identity", "limit", "expected"),
    [
        ({"AWS": ROOT}, ALL, None, "allow"),
        ({"AWS": HOME}, ALL, None, "allow"),
        ({"AWS": ROOT}, NOTHING, None, "deny"),
        ({"AWS": ROLE}, NOTHING, None, "allow"),
        ({"AWS": ROLE}, NOTHING, NOTHING, "deny"),
        ({"AWS": SESSION}, NOTHING, NOTHING, "allow"),
        ({"AWS": SESSION + "2"}, ALL, None, "deny"),
        ("*", NOTHING, None, "allow"),
        ({"AWS": ["*"]}, NOTHING, NOTHING, "unknown"),
        ({"AWS": f"arn:aws:iam::{OTHER}:root"}, ALL, None, "deny"),
        ({"AWS": ROLE.replace("ir/", "")}, ALL, None, "deny"),  # the path is part of the role's ARN
        ({"AWS": "AROAABCDEFGHIJKLMNOPQ"}, ALL, None, "unknown"),
        ({"AWS": "AIDAABCDEFGHIJKLMNOPQ"}, ALL, None, "deny"),
        ({"Service": "ec2.amazonaws.com"}, ALL, None, "deny"),
        ({"AWS": {"Fn::Sub": "arn:aws:iam::${AWS::AccountId}:root"}}, ALL, None, "unknown"),
        ({"Ref": "Who"}, ALL, None, "unknown"),
    ],
)
def test_who_a_key_policy_names(principal: Any, identity: Policy, limit: Policy | None, expected: str) -> None:
    bounds = (limit,) if limit else None
    assert decide(DECRYPT, identity=(identity,), boundary=bounds, resource=policy(by(principal))) == expected
    assert decide(DECRYPT, identity=(identity,), session=bounds, resource=policy(by(principal))) == expected


def test_a_session_that_was_not_told() -> None:
    request = replace(DECRYPT, session=None)
    assert decide(request, identity=(ALL,), resource=policy(by({"AWS": SESSION}))) == "unknown"
    assert decide(request, identity=(ALL,), resource=policy(by({"AWS": SESSION.replace("Cado", "X")}))) == "deny"


def test_users_and_root() -> None:
    assert decide(replace(DECRYPT, principal=USER), identity=(), resource=policy(by({"AWS": USER}))) == "allow"
    assert decide(replace(DECRYPT, principal=ROOT), identity=(), resource=policy(by({"AWS": HOME}))) == "allow"
    assert decide(ask("iam:GetRole", ROLE, principal=ROOT), identity=()) == "allow"
    service = replace(DECRYPT, principal="ec2.amazonaws.com")
    assert decide(service, resource=policy(by({"Service": "ec2.amazonaws.com"}))) == "allow"
    assert decide(service, resource=policy(by({"Service": "s3.amazonaws.com"}))) == "deny"


def test_without_the_key_policy_nothing_is_certain() -> None:
    found = evaluate(DECRYPT, Policies((ALL,)))
    assert (found.decision, found.reasons) == (Decision.UNKNOWN, ("the key policy is not known",))
    assert decide(DECRYPT, identity=(policy(deny("kms:*")),)) == "deny"
    assert decide(ask("kms:ListKeys"), identity=(ALL,)) == "allow", "it is about no key"


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ([ROOT, ROLE, SESSION], "allow"),
        ([ROOT, ROLE], "unknown"),
        ([ROLE, SESSION], "unknown"),
        ([ROOT], "deny"),
        ([f"arn:aws:iam::{OTHER}:root"], "deny"),
        (["*"], "allow"),
    ],
)
def test_not_principal(listed: list[str], expected: str) -> None:
    spared = {"Effect": "Deny", "NotPrincipal": {"AWS": listed}, "Action": "kms:*", "Resource": "*"}
    assert decide(DECRYPT, identity=(ALL,), resource=policy(by({"AWS": ROOT}), spared)) == expected


# Across accounts: both sides. "Cross-account policy evaluation logic".
FOREIGN = replace(DECRYPT, resource=KEY.replace(HOME, OTHER))


@pytest.mark.parametrize(
    ("action", "principal", "identity", "expected"),
    [
        ("kms:Decrypt", ROOT, ALL, "allow"),
        ("kms:Decrypt", ROLE, ALL, "allow"),
        ("kms:Decrypt", ROLE, NOTHING, "deny"),
        ("kms:Decrypt", f"arn:aws:iam::{OTHER}:root", ALL, "deny"),
        ("kms:PutKeyPolicy", ROLE, ALL, "deny"),  # "Cross-account use: no"
        ("kms:CreateGrant", ROLE, ALL, "allow"),
    ],
)
def test_keys_of_another_account(action: str, principal: str, identity: Policy, expected: str) -> None:
    key = policy(by({"AWS": principal}))
    assert decide(replace(FOREIGN, action=action), identity=(identity,), resource=key) == expected


def test_what_has_no_resource_policy_stays_in_its_account() -> None:
    foreign = replace(SEND, resource=INSTANCE.replace(HOME, OTHER))
    assert evaluate(foreign, Policies((ALL,))).kind is Kind.RESOURCE
    assert decide(replace(SEND, resource=DOCUMENT), identity=(ALL,)) == "allow", (
        "AWS's own documents have no account"
    )


GRANT = Grant(HOME, "eu-west-1", KEY, "1" * 64, None, ROLE, ("CreateGrant", "Decrypt"), None, HOME)


@pytest.mark.parametrize(
    ("action", "grant", "context", "expected"),
    [
        ("kms:Decrypt", GRANT, {}, "allow"),
        ("kms:Encrypt", GRANT, {}, "deny"),
        ("kms:Decrypt", replace(GRANT, grantee_principal=ROLE + "2"), {}, "deny"),
        ("kms:Decrypt", replace(GRANT, key_arn=KEY + "2"), {}, "deny"),
        ("kms:Decrypt", replace(GRANT, grantee_principal="AROAABCDEFGHIJKLMNOPQ"), {}, "unknown"),
        ("kms:CreateGrant", GRANT, {"kms:GrantOperations": ["Decrypt"]}, "allow"),
        ("kms:CreateGrant", GRANT, {"kms:GrantOperations": ["Encrypt"]}, "deny"),
        ("kms:RetireGrant", replace(GRANT, retiring_principal=ROLE), {}, "allow"),
        ("kms:RetireGrant", replace(GRANT, retiring_principal=USER), {}, "deny"),
        ("kms:RevokeGrant", replace(GRANT, retiring_principal=ROLE), {}, "deny"),
    ],
)
def test_grants(action: str, grant: Grant, context: dict[str, Any], expected: str) -> None:
    request = replace(DECRYPT, action=action, context=context)
    key = policy(by({"AWS": ROOT}))
    found = evaluate(request, Policies(resource=key, grants=(grant,)))
    assert found.decision == expected
    if expected == "allow":
        assert found.kind is Kind.GRANT
        denied = policy(deny("kms:*"))
        assert decide(request, identity=(denied,), resource=key, grants=(grant,)) == "deny"


def test_constraints_and_doubts_of_grants() -> None:
    key = policy(by({"AWS": ROOT}))
    bound = replace(GRANT, constraints={"EncryptionContextSubset": {"aws:ebs:id": "vol-1"}})
    context = {"kms:EncryptionContext:aws:ebs:id": "vol-1"}
    assert decide(replace(DECRYPT, context=context), resource=key, grants=(bound,)) == "allow"
    assert decide(DECRYPT, resource=key, grants=(bound,)) == "deny"
    assert decide(replace(DECRYPT, complete=False), resource=key, grants=(bound,)) == "unknown"
    exact = replace(GRANT, constraints={"EncryptionContextEquals": {"aws:ebs:id": "vol-1"}})
    more = context | {"kms:EncryptionContextKeys": ["aws:ebs:id", "b"]}
    assert decide(replace(DECRYPT, context=more), resource=key, grants=(exact,)) == "deny"
    assert decide(DECRYPT, resource=key, grants=None) == "unknown"
    assert decide(DECRYPT, resource=key, grants=(GRANT,), boundary=(NOTHING,)) == "unknown"
    assert decide(FOREIGN, identity=(ALL,), resource=key, grants=()) == "allow", "its root is our account here"
    given = replace(GRANT, key_arn=FOREIGN.resource, account=OTHER, issuing_account=OTHER)
    other_key = policy(by({"AWS": f"arn:aws:iam::{OTHER}:root"}))
    assert decide(FOREIGN, resource=other_key, grants=(given,)) == "deny", "no IAM allow on this side"
    assert decide(FOREIGN, identity=(ALL,), resource=other_key, grants=(given,)) == "unknown"


# The documents that this program prints, on what they are for.
@pytest.mark.parametrize(
    ("document", "tag", "expected"),
    [
        (ssm_default(NAMES), None, "allow"),
        (ssm_tagged(NAMES), "True", "allow"),
        (ssm_tagged(NAMES), "true", "deny"),
        (ssm_tagged(NAMES), None, "deny"),
        (ssm_tagged_documented(NAMES), "True", "allow"),
        (ssm_tagged_documented(NAMES), None, "deny"),
    ],
)
def test_send_command_needs_instance_and_document(document: Document, tag: str | None, expected: str) -> None:
    identity = Policies((Policy("cado", document),))
    on_instance = evaluate(ask("ssm:SendCommand", INSTANCE, {TAG: tag} if tag else {}), identity)
    on_document = evaluate(ask("ssm:SendCommand", DOCUMENT), identity)
    assert on_document.allowed
    assert together([on_instance, on_document]).decision == expected
    assert not evaluate(ask("ssm:SendCommand", DOCUMENT.replace("Shell", "Power")), identity).allowed


def test_several_resources_together() -> None:
    identity = Policies((Policy("cado", ssm_tagged(NAMES)),))
    request = Request(ROLE, "ssm:SendCommand", context={}, complete=False)
    assert evaluate_all(request, [DOCUMENT, INSTANCE], identity).reasons == (f"the request does not tell {TAG}",)
    denied = Verdict(Decision.DENY)
    explicit = Verdict(Decision.DENY, explicit=True)
    open_ = Verdict(Decision.UNKNOWN, reasons=("why",))
    allowed = Verdict(Decision.ALLOW)
    assert together([allowed, denied, explicit, open_]) is explicit
    assert together([allowed, open_, denied]) is denied
    assert together([allowed, open_]).reasons == ("why",)
    assert together([allowed, allowed]) is allowed


def test_what_the_read_actions_need() -> None:
    """The published pair grants them on ARNs, which is nothing; the repaired one does not."""
    for action in ("ssm:DescribeInstanceInformation", "ssm:GetCommandInvocation"):
        assert decide(ask(action), identity=(Policy("cado", ssm_tagged(NAMES)),)) == "allow"
        assert decide(ask(action), identity=(Policy("cado", ssm_tagged_documented(NAMES)),)) == "deny"


@pytest.mark.parametrize(
    ("variant", "allowed"),
    [
        ("kms-full", {"Encrypt", "Decrypt", "ReEncryptFrom", "GenerateDataKeyWithoutPlaintext", "CreateGrant"}),
        ("kms-grant-only", {"CreateGrant"}),
        ("kms-withheld", {"Encrypt", "Decrypt", "ReEncryptFrom", "GenerateDataKeyWithoutPlaintext"}),
        ("kms-cross-account", {"Encrypt", "Decrypt", "ReEncryptFrom", "GenerateDataKeyWithoutPlaintext"}),
        ("kms-ebs-direct", {"Decrypt", "DescribeKey"}),
    ],
)
def test_the_variants_for_keys(variant: str, allowed: set[str]) -> None:
    names = replace(NAMES, cado_role="ir/CadoResponseRole")
    key = Policy("key", key_policy(variant, names, f"arn:aws:iam::{OTHER}:role/Platform"))
    asked = ("Encrypt", "Decrypt", "ReEncryptFrom", "GenerateDataKeyWithoutPlaintext", "CreateGrant", "DescribeKey")
    for operation in asked:
        request = ask(f"kms:{operation}", KEY, {"kms:GrantIsForAWSResource": "false"})
        assert evaluate(request, Policies(resource=key)).allowed is (operation in allowed), operation
        theirs = replace(request, principal=f"arn:aws:iam::{OTHER}:role/Platform")
        assert evaluate(theirs, Policies((ALL,), resource=key)).allowed is (operation in allowed)
    by_ebs = evaluate(ask("kms:CreateGrant", KEY, {"kms:GrantIsForAWSResource": "true"}), Policies(resource=key))
    assert by_ebs.allowed is (variant != "kms-cross-account")
    admin = f"arn:aws:iam::{HOME}:role/Admin"
    managing = ask("kms:PutKeyPolicy", KEY, principal=admin)
    assert evaluate(managing, Policies((ALL,), resource=key)).allowed, "nobody is locked out"
