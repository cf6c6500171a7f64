"""KMS: exactly what is sent, page by page, and what is made of the answers and errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from cado_ops.aws.connection import Connection
from cado_ops.aws.kms import Kms
from cado_ops.aws.pace import QUOTAS
from cado_ops.errors import AwsError, Kind
from cado_ops.model import Cell, Grant, Key
from tests.gateway.fake_aws import Answer, Parts, Request, Wire, sts_error

CELL = Cell("222222222222", "eu-west-1")
KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
KEY_ARN = f"arn:aws:kms:eu-west-1:222222222222:key/{KEY_ID}"
CADO = "arn:aws:iam::222222222222:role/CadoResponseRole"
OPS = "arn:aws:iam::222222222222:role/ir/CadoOperator"
GRANT_ID = "0123456789abcdef" * 4
TOKEN = "AQpAM2RhZTk1MGMyNTk2ZmZmMzEyYWVh"


def answer(body: dict[str, Any] | str = "", status: int = 200) -> Answer:
    return Answer(body if isinstance(body, str) else json.dumps(body), status)


def error(code: str, message: str = "words", status: int = 400) -> Answer:
    return answer({"__type": code, "message": message}, status)


def entry(**changes: Any) -> dict[str, Any]:
    return {
        "KeyId": KEY_ARN,
        "GrantId": GRANT_ID,
        "Name": "cado-ops/IR-42/-/x",
        "CreationDate": 1795455901.0,
        "GranteePrincipal": CADO,
        "RetiringPrincipal": OPS,
        "IssuingAccount": "arn:aws:iam::222222222222:root",
        "Operations": ["Decrypt", "DescribeKey", "CreateGrant"],
    } | changes


GRANT = Grant(
    account="222222222222",
    region="eu-west-1",
    key_arn=KEY_ARN,
    grant_id=GRANT_ID,
    name="cado-ops/IR-42/-/x",
    grantee_principal=CADO,
    operations=("CreateGrant", "Decrypt", "DescribeKey"),
    retiring_principal=OPS,
    issuing_account="222222222222",
    constraints={},
    created=datetime(2026, 11, 23, 17, 45, 1, tzinfo=UTC),
)


@pytest.fixture
def wire(line: tuple[Wire, Connection]) -> Wire:
    return line[0]


@pytest.fixture
def kms(line: tuple[Wire, Connection]) -> Kms:
    return Kms(line[1])


def only(wire: Wire, action: str) -> Request:
    [request] = wire.of(action)
    return request


def flat(pages: Iterator[list[Grant]]) -> list[Grant]:
    return [grant for page in pages for grant in page]


class TestDescribeKey:
    METADATA: dict[str, Any] = {  # noqa: RUF012
        "KeyId": KEY_ID, "Arn": KEY_ARN, "KeyManager": "CUSTOMER", "KeyState": "Enabled",
        "KeyUsage": "ENCRYPT_DECRYPT", "KeySpec": "SYMMETRIC_DEFAULT", "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "Enabled": True, "MultiRegion": False,
    }  # fmt: skip
    KEY = Key("222222222222", "eu-west-1", KEY_ARN, "CUSTOMER", "Enabled", "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")

    @pytest.mark.parametrize(
        "name", [KEY_ID, KEY_ARN, "alias/prod", "arn:aws:kms:eu-west-1:222222222222:alias/prod"]
    )
    def test_request(self, wire: Wire, kms: Kms, name: str) -> None:
        wire.reply("DescribeKey", answer({"KeyMetadata": self.METADATA}))
        assert kms.key(CELL, name) == self.KEY
        request = only(wire, "DescribeKey")
        assert request.parameters == {"KeyId": name}
        assert (request.service, request.region, request.host) == (
            "kms",
            "eu-west-1",
            "kms.eu-west-1.amazonaws.com",
        )
        assert CELL.account in request.key

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"KeyManager": "AWS"}, {"manager": "AWS"}),
            ({"KeyState": "PendingDeletion", "Enabled": False}, {"state": "PendingDeletion"}),
            ({"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"}, {"spec": "RSA_2048", "usage": "SIGN_VERIFY"}),
            ({"KeySpec": None}, {}),
            (
                {"Arn": KEY_ARN.replace("222222222222", "333333333333").replace("eu-west-1", "us-east-1")},
                {
                    "arn": KEY_ARN.replace("222222222222", "333333333333").replace("eu-west-1", "us-east-1"),
                    "account": "333333333333",
                    "region": "us-east-1",
                },
            ),
            (
                {
                    "MultiRegion": True,
                    "MultiRegionConfiguration": {
                        "MultiRegionKeyType": "PRIMARY",
                        "PrimaryKey": {"Arn": KEY_ARN, "Region": "eu-west-1"},
                        "ReplicaKeys": [{"Arn": "b", "Region": "us-east-1"}, {"Arn": "a", "Region": "ap-south-1"}],
                    },
                },
                {"multi_region": True, "replicas": ("ap-south-1", "us-east-1")},
            ),
        ],
        ids=["aws", "pending", "rsa", "old-name-of-the-spec", "elsewhere", "multi-region"],
    )
    def test_what_is_kept(self, wire: Wire, kms: Kms, changes: dict[str, Any], expected: dict[str, Any]) -> None:
        told = {name: value for name, value in (self.METADATA | changes).items() if value is not None}
        wire.reply("DescribeKey", answer({"KeyMetadata": told}))
        assert kms.key(CELL, KEY_ID) == replace(self.KEY, **expected)

    def test_an_answer_that_is_cut_short_is_asked_for_again(self, wire: Wire, kms: Kms) -> None:
        wire.reply("DescribeKey", Answer('{"KeyMetadata": {"Ar'), answer({"KeyMetadata": self.METADATA}))
        assert kms.key(CELL, KEY_ID).arn == KEY_ARN
        assert len(wire.of("DescribeKey")) == 2

    @pytest.mark.parametrize("body", [{}, {"KeyMetadata": {}}, {"KeyMetadata": {"Arn": "x"}}])
    def test_an_answer_that_is_none(self, wire: Wire, kms: Kms, body: dict[str, Any]) -> None:
        wire.reply("DescribeKey", answer(body))
        with pytest.raises(AwsError) as caught:
            kms.key(CELL, KEY_ID)
        assert (caught.value.code, caught.value.kind) == ("MalformedResponse", Kind.TRANSPORT)

    def test_a_key_that_is_not_there(self, wire: Wire, kms: Kms) -> None:
        wire.reply("DescribeKey", error("NotFoundException", f"Key '{KEY_ARN}' does not exist"))
        with pytest.raises(AwsError, match="does not exist") as caught:
            kms.key(CELL, KEY_ID)
        assert (caught.value.code, caught.value.kind) == ("NotFoundException", Kind.NOT_FOUND)


class TestCustomerKeys:
    def test_all_keys_less_those_that_aws_manages(self, wire: Wire, kms: Kms) -> None:
        aliases = [
            {"AliasName": "alias/aws/ebs", "TargetKeyId": "k-ebs"},
            {"AliasName": "alias/aws/rds"},  # no key yet
            {"AliasName": "alias/prod", "TargetKeyId": "k-1"},
            {"AliasName": "alias/awsome", "TargetKeyId": "k-2"},
        ]
        keys = [{"KeyId": each, "KeyArn": f"arn:{each}"} for each in ("k-1", "k-ebs", "k-2", "k-3", "k-s3")]
        wire.reply(
            "ListAliases",
            answer({"Aliases": aliases, "NextMarker": "a", "Truncated": True}),
            answer({"Aliases": [{"AliasName": "alias/aws/s3", "TargetKeyId": "k-s3"}], "Truncated": False}),
        )
        wire.reply(
            "ListKeys",
            answer({"Keys": keys[:2], "NextMarker": "k", "Truncated": True}),
            answer({"Keys": [], "NextMarker": "l", "Truncated": True}),
            answer({"Keys": keys[2:], "Truncated": False}),
        )
        assert list(kms.customer_keys(CELL)) == ["arn:k-1", "arn:k-2", "arn:k-3"]
        assert [each.parameters for each in wire.of("ListAliases")] == [
            {"Limit": 100},
            {"Limit": 100, "Marker": "a"},
        ]
        assert [each.parameters for each in wire.of("ListKeys")] == [
            {"Limit": 1000},
            {"Limit": 1000, "Marker": "k"},
            {"Limit": 1000, "Marker": "l"},
        ]
        assert wire.of("DescribeKey") == []

    def test_an_account_without_any(self, wire: Wire, kms: Kms) -> None:
        wire.reply("ListAliases", answer({"Aliases": []}))
        wire.reply("ListKeys", answer({"Keys": []}))
        assert list(kms.customer_keys(CELL)) == []


class TestListGrants:
    @pytest.mark.parametrize(
        ("asked", "expected"),
        [
            ({}, {}),
            ({"grantee": CADO}, {"GranteePrincipal": CADO}),
            ({"grant_id": GRANT_ID}, {"GrantId": GRANT_ID}),
            ({"grantee": CADO, "grant_id": GRANT_ID}, {"GranteePrincipal": CADO, "GrantId": GRANT_ID}),
        ],
    )
    def test_request(self, wire: Wire, kms: Kms, asked: dict[str, Any], expected: dict[str, Any]) -> None:
        wire.reply("ListGrants", answer({"Grants": [entry()], "Truncated": False}))
        assert flat(kms.grants(CELL, KEY_ARN, **asked)) == [GRANT]
        assert only(wire, "ListGrants").parameters == {"KeyId": KEY_ARN, "Limit": 100, **expected}

    def test_all_pages_are_read_empty_ones_too(self, wire: Wire, kms: Kms) -> None:
        wire.reply(
            "ListGrants",
            answer({"Grants": [entry(GrantId="1")], "NextMarker": "a", "Truncated": True}),
            answer({"Grants": [], "NextMarker": "b", "Truncated": True}),
            answer({"Grants": [entry(GrantId="2"), entry(GrantId="3")], "Truncated": False}),
        )
        pages = list(kms.grants(CELL, KEY_ARN, grantee=CADO))
        assert [[grant.grant_id for grant in page] for page in pages] == [["1"], [], ["2", "3"]]
        sent = [request.parameters for request in wire.of("ListGrants")]
        assert [each.get("Marker") for each in sent] == [None, "a", "b"]
        assert all(each["KeyId"] == KEY_ARN and each["GranteePrincipal"] == CADO for each in sent)

    def test_a_page_is_asked_for_when_it_is_wanted(self, wire: Wire, kms: Kms) -> None:
        wire.reply("ListGrants", answer({"Grants": [entry()], "NextMarker": "a", "Truncated": True}))
        pages = kms.grants(CELL, KEY_ARN)
        assert wire.requests == []
        next(pages)
        assert len(wire.of("ListGrants")) == 1

    def test_a_marker_that_comes_twice_is_an_error_not_a_loop(self, wire: Wire, kms: Kms) -> None:
        wire.reply("ListGrants", answer({"Grants": [], "NextMarker": "same", "Truncated": True}))
        with pytest.raises(AwsError, match="twice"):
            flat(kms.grants(CELL, KEY_ARN))

    def test_what_the_server_did_not_filter_is_filtered_here(self, wire: Wire, kms: Kms) -> None:
        others = [
            entry(GrantId="f" * 64),
            entry(GranteePrincipal=CADO + "2"),
            entry(GranteePrincipal="AROA0123456789ABCDEFG"),
            {name: value for name, value in entry().items() if name != "GranteePrincipal"},
        ]
        wire.reply("ListGrants", answer({"Grants": [*others, entry()]}))
        assert flat(kms.grants(CELL, KEY_ARN, grantee=CADO, grant_id=GRANT_ID)) == [GRANT]
        assert len(flat(kms.grants(CELL, KEY_ARN, grant_id=GRANT_ID))) == 4
        assert len(flat(kms.grants(CELL, KEY_ARN, grantee=CADO))) == 2
        assert len(flat(kms.grants(CELL, KEY_ARN))) == 5

    @pytest.mark.parametrize(
        ("drop", "changes", "expected"),
        [
            (["Name"], {}, {"name": None}),
            ([], {"Name": ""}, {"name": None}),
            (["RetiringPrincipal"], {}, {"retiring_principal": None}),
            (["IssuingAccount"], {}, {"issuing_account": None}),
            ([], {"IssuingAccount": "333333333333"}, {"issuing_account": "333333333333"}),
            (["CreationDate"], {}, {"created": None}),
            (["GranteePrincipal"], {}, {"grantee_principal": None}),
            (
                ["GranteePrincipal"],
                {"GranteeServicePrincipal": "backup.amazonaws.com"},
                {"grantee_principal": None, "grantee_service": "backup.amazonaws.com"},
            ),
            ([], {"GranteePrincipal": "AROA0123456789ABCDEFG"}, {"grantee_principal": "AROA0123456789ABCDEFG"}),
            (["Operations"], {}, {"operations": ()}),
            ([], {"Constraints": {}}, {"constraints": {}}),
            (
                [],
                {"Constraints": {"EncryptionContextSubset": {"aws:ebs:id": "vol-1"}, "SourceArn": "x"}},
                {"constraints": {"EncryptionContextSubset": {"aws:ebs:id": "vol-1"}, "SourceArn": "x"}},
            ),
            (
                [],
                {"KeyId": KEY_ARN.replace("222222222222", "333333333333")},
                {"key_arn": KEY_ARN.replace("222222222222", "333333333333"), "account": "333333333333"},
            ),
            ([], {"KeyId": KEY_ID}, {"key_arn": KEY_ID}),
        ],
    )
    def test_what_is_kept(
        self, wire: Wire, kms: Kms, drop: list[str], changes: dict[str, Any], expected: dict[str, Any]
    ) -> None:
        told = {name: value for name, value in entry(**changes).items() if name not in drop}
        wire.reply("ListGrants", answer({"Grants": [told]}))
        assert flat(kms.grants(CELL, KEY_ARN)) == [replace(GRANT, **expected)]

    def test_a_grant_id_that_the_key_does_not_have_is_no_grant(self, wire: Wire, kms: Kms) -> None:
        wire.reply("ListGrants", error("InvalidGrantIdException"))
        assert flat(kms.grants(CELL, KEY_ARN, grant_id=GRANT_ID)) == []

    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            ("NotFoundException", Kind.NOT_FOUND),
            ("AccessDeniedException", Kind.DENIED),
            ("InvalidArnException", Kind.OTHER),
            ("KMSInvalidStateException", Kind.OTHER),
        ],
    )
    def test_any_other_error_is_never_an_empty_answer(self, wire: Wire, kms: Kms, code: str, kind: Kind) -> None:
        wire.reply("ListGrants", error(code))
        with pytest.raises(AwsError) as caught:
            flat(kms.grants(CELL, KEY_ARN, grant_id=GRANT_ID))
        assert (caught.value.code, caught.value.kind, caught.value.operation) == (code, kind, "ListGrants")

    @pytest.mark.parametrize(
        "cut",
        [Answer('{"Grants": [{"KeyId": "arn:aws'), Answer(""), Answer("<html>Login</html>", headers={})],
        ids=["short", "empty", "portal"],
    )
    def test_an_answer_that_is_cut_short_is_asked_for_again(self, wire: Wire, kms: Kms, cut: Answer) -> None:
        """The SDK takes it for an answer without grants."""
        wire.reply("ListGrants", cut, answer({"Grants": []}))
        assert flat(kms.grants(CELL, KEY_ARN)) == []
        assert len(wire.of("ListGrants")) == 2

    @pytest.mark.parametrize("body", [{}, {"Grants": [{"KeyId": KEY_ARN}]}, {"Grants": [{"GrantId": "x"}]}])
    def test_an_answer_that_is_none(self, wire: Wire, kms: Kms, body: dict[str, Any]) -> None:
        wire.reply("ListGrants", answer(body))
        with pytest.raises(AwsError) as caught:
            flat(kms.grants(CELL, KEY_ARN))
        assert caught.value.code == "MalformedResponse"


def test_retirable_grants(wire: Wire, kms: Kms) -> None:
    elsewhere = KEY_ARN.replace("222222222222", "333333333333")
    wire.reply(
        "ListRetirableGrants",
        answer({"Grants": [entry()], "NextMarker": "a", "Truncated": True}),
        answer({"Grants": [entry(KeyId=elsewhere)], "Truncated": False}),
    )
    found = flat(kms.retirable_grants(CELL, OPS))
    assert found == [GRANT, replace(GRANT, key_arn=elsewhere, account="333333333333")]
    assert [request.parameters for request in wire.of("ListRetirableGrants")] == [
        {"RetiringPrincipal": OPS, "Limit": 100},
        {"RetiringPrincipal": OPS, "Limit": 100, "Marker": "a"},
    ]


CREATED = answer({"GrantId": GRANT_ID, "GrantToken": TOKEN})


def create(kms: Kms, **changes: Any) -> tuple[str, str, str | None]:
    wanted: dict[str, Any] = {
        "key_arn": KEY_ARN,
        "name": "cado-ops/IR-42/-/x",
        "grantee": CADO,
        "retiring_principal": OPS,
        "operations": ("Decrypt", "DescribeKey"),
        "constraints": {},
    }
    return kms.create_grant(CELL, **(wanted | changes))


Write = Callable[..., Any]
WRITES: dict[str, Write] = {
    "CreateGrant": create,
    "RetireGrant": lambda kms, **more: kms.retire_grant(CELL, KEY_ARN, GRANT_ID, **more),
    "RevokeGrant": lambda kms, **more: kms.revoke_grant(CELL, KEY_ARN, GRANT_ID, **more),
}


class TestCreateGrant:
    FULL: dict[str, Any] = {  # noqa: RUF012
        "KeyId": KEY_ARN,
        "GranteePrincipal": CADO,
        "Operations": ["Decrypt", "DescribeKey"],
        "Name": "cado-ops/IR-42/-/x",
        "RetiringPrincipal": OPS,
    }

    def test_request(self, wire: Wire, kms: Kms) -> None:
        wire.reply("CreateGrant", CREATED)
        assert create(kms)[:2] == (GRANT_ID, TOKEN)
        request = only(wire, "CreateGrant")
        assert request.parameters == self.FULL
        assert CELL.account in request.key

    @pytest.mark.parametrize(
        ("changes", "sent"),
        [
            ({"name": None}, {"Name": None}),
            ({"retiring_principal": None}, {"RetiringPrincipal": None}),
            (
                {"constraints": {"EncryptionContextSubset": {"aws:ebs:id": "vol-1"}}},
                {"Constraints": {"EncryptionContextSubset": {"aws:ebs:id": "vol-1"}}},
            ),
        ],
    )
    def test_what_is_not_given_is_not_sent(
        self, wire: Wire, kms: Kms, changes: dict[str, Any], sent: dict[str, Any]
    ) -> None:
        wire.reply("CreateGrant", CREATED)
        create(kms, **changes)
        expected = {name: value for name, value in (self.FULL | sent).items() if value is not None}
        assert only(wire, "CreateGrant").parameters == expected

    @pytest.mark.parametrize(
        "body",
        [
            "",
            "{}",
            json.dumps({"GrantToken": TOKEN}),
            json.dumps({"GrantId": GRANT_ID, "Grant_Token": TOKEN}),
            json.dumps({"GrantToken": TOKEN, "GrantId": GRANT_ID})[:-3],
            json.dumps([TOKEN]),
        ],
    )
    def test_an_answer_that_is_none_shows_no_token(self, wire: Wire, kms: Kms, body: str) -> None:
        """It is an error that is journaled and printed."""
        wire.reply("CreateGrant", answer(body))
        with pytest.raises(AwsError) as caught:
            create(kms)
        assert caught.value.kind is Kind.TRANSPORT
        assert TOKEN not in f"{caught.value.message} {caught.value.hint} {caught.value!r}"


class TestEnding:
    @pytest.mark.parametrize("action", ["RetireGrant", "RevokeGrant"])
    def test_request(self, wire: Wire, kms: Kms, action: str) -> None:
        wire.reply(action, answer(""))
        WRITES[action](kms)
        assert only(wire, action).parameters == {"KeyId": KEY_ARN, "GrantId": GRANT_ID}

    @pytest.mark.parametrize("action", ["RetireGrant", "RevokeGrant"])
    @pytest.mark.parametrize("body", ["", "<html>Login</html>"])
    def test_a_proxys_page_is_no_success(self, wire: Wire, kms: Kms, action: str, body: str) -> None:
        """KMS answers with an empty body: only the request id tells it from anybody else's."""
        wire.reply(action, Answer(body, headers={}))
        with pytest.raises(AwsError, match="not AWS's") as caught:
            WRITES[action](kms)
        assert (caught.value.code, caught.value.kind) == ("MalformedResponse", Kind.TRANSPORT)


@pytest.mark.parametrize("action", WRITES)
class TestWriting:
    def test_a_dry_run_that_would_succeed(self, wire: Wire, kms: Kms, action: str) -> None:
        wire.reply(action, error("DryRunOperationException", "would have succeeded", 412))
        WRITES[action](kms, dry_run=True)
        assert only(wire, action).parameters["DryRun"] is True

    def test_a_dry_run_that_would_not(self, wire: Wire, kms: Kms, action: str) -> None:
        wire.reply(action, error("AccessDeniedException", "not authorized"))
        with pytest.raises(AwsError) as caught:
            WRITES[action](kms, dry_run=True)
        assert caught.value.kind is Kind.DENIED

    def test_without_a_dry_run_its_error_is_an_error_and_none_is_asked_for(
        self, wire: Wire, kms: Kms, action: str
    ) -> None:
        wire.reply(action, error("DryRunOperationException", "would have succeeded", 412))
        with pytest.raises(AwsError):
            WRITES[action](kms)
        assert "DryRun" not in only(wire, action).parameters

    @pytest.mark.parametrize(
        ("code", "kind", "hint"),
        [
            ("NotFoundException", Kind.NOT_FOUND, ""),
            ("InvalidArnException", Kind.OTHER, ""),
            ("InvalidGrantIdException", Kind.OTHER, ""),
            ("DisabledException", Kind.OTHER, ""),
            ("KMSInvalidStateException", Kind.OTHER, ""),
            ("LimitExceededException", Kind.OTHER, "50,000"),
            ("AccessDeniedException", Kind.DENIED, "kms:"),
            ("ValidationException", Kind.INVALID, ""),
        ],
    )
    def test_errors_that_are_final(
        self, wire: Wire, kms: Kms, action: str, code: str, kind: Kind, hint: str
    ) -> None:
        wire.reply(action, error(code, "AWS's own words"))
        with pytest.raises(AwsError, match="own words") as caught:
            WRITES[action](kms)
        told = caught.value
        assert (told.code, told.kind, told.operation, told.answer_lost) == (code, kind, action, False)
        assert hint in (told.hint or "")
        assert len(wire.of(action)) == 1, "it was sent again"

    @pytest.mark.parametrize(
        ("code", "status"),
        [("ThrottlingException", 400), ("KMSInternalException", 500), ("DependencyTimeoutException", 503)],
    )
    def test_errors_that_pass(self, wire: Wire, kms: Kms, action: str, code: str, status: int) -> None:
        good = CREATED if action == "CreateGrant" else answer("")
        wire.reply(action, error(code, status=status), good)
        WRITES[action](kms)
        first, second = wire.of(action)
        assert first.parameters == second.parameters

    @pytest.mark.parametrize(
        ("before", "lost"),
        [
            ([], False),
            ([error("ThrottlingException")], False),
            ([error("ThrottlingException"), error("ThrottlingException")], False),
            ([error("KMSInternalException", status=500)], True),
            ([error("ServiceUnavailableException", status=503), error("ThrottlingException")], True),
            ([answer("<html>", 502)], True),
            ([ReadTimeoutError(endpoint_url="x")], True),
            ([ConnectTimeoutError(endpoint_url="x"), error("ThrottlingException")], True),
        ],
        ids=["first", "throttled", "twice", "500", "503-throttled", "502", "no-answer", "no-answer-throttled"],
    )
    def test_whether_an_attempt_before_got_no_answer(
        self, wire: Wire, kms: Kms, action: str, before: list[Any], lost: bool
    ) -> None:
        wire.reply(action, *before, error("NotFoundException"))
        with pytest.raises(AwsError) as caught:
            WRITES[action](kms)
        assert (caught.value.code, caught.value.answer_lost) == ("NotFoundException", lost)

    @pytest.mark.parametrize("cut", ["", '{"__type": "NotFoundExc'])
    def test_an_error_that_was_cut_short_is_asked_for_again(
        self, wire: Wire, kms: Kms, action: str, cut: str
    ) -> None:
        wire.reply(action, ReadTimeoutError(endpoint_url="x"), answer(cut, 400), error("NotFoundException"))
        with pytest.raises(AwsError) as caught:
            WRITES[action](kms)
        assert (caught.value.code, caught.value.answer_lost) == ("NotFoundException", True)
        assert len(wire.of(action)) == 3

    def test_that_is_not_forgotten_when_the_session_is_renewed(self, wire: Wire, kms: Kms, action: str) -> None:
        wire.reply(
            action,
            error("KMSInternalException", status=500),
            error("ExpiredTokenException"),
            error("NotFoundException"),
        )
        with pytest.raises(AwsError) as caught:
            WRITES[action](kms)
        assert (caught.value.code, caught.value.answer_lost) == ("NotFoundException", True)
        assert len({request.key for request in wire.of(action)}) == 2

    def test_nor_where_nobody_is_there_to_give_a_code(self, wire: Wire, kms: Kms, action: str) -> None:
        mfa = AwsError("MfaNeeded", "MFA is needed", kind=Kind.CREDENTIALS)
        wire.reply(action, ReadTimeoutError(endpoint_url="x"), mfa)
        with pytest.raises(AwsError) as caught:
            WRITES[action](kms)
        assert (caught.value.code, caught.value.answer_lost) == ("MfaNeeded", True)

    def test_a_renewal_alone_loses_no_answer(self, wire: Wire, kms: Kms, action: str) -> None:
        wire.reply(action, error("ExpiredTokenException"), error("NotFoundException"))
        with pytest.raises(AwsError) as caught:
            WRITES[action](kms)
        assert (caught.value.code, caught.value.answer_lost) == ("NotFoundException", False)

    @pytest.mark.parametrize(
        "fault", [error("KMSInternalException", status=500), ReadTimeoutError(endpoint_url="x")]
    )
    def test_no_answer_at_all_leaves_it_open(self, wire: Wire, kms: Kms, action: str, fault: Any) -> None:
        wire.reply(action, fault)
        with pytest.raises(AwsError) as caught:
            WRITES[action](kms)
        assert caught.value.kind is Kind.TRANSPORT
        assert len(wire.of(action)) == 10


@pytest.mark.usefixtures("own_keys")
@pytest.mark.parametrize("code", ["Throttling", "AccessDenied"])
def test_an_answer_that_was_lost_is_not_forgotten_where_the_session_cannot_be_renewed(
    wire: Wire, parts: Parts, code: str
) -> None:
    kms = Kms(parts.connect())
    wire.reply("GetKeyPolicy", answer({"Policy": "{}"}))
    kms.key_policy(CELL, KEY_ID)  # with a session, which then ends
    wire.reply("RetireGrant", error("KMSInternalException", status=500), error("ExpiredTokenException"))
    wire.reply("AssumeRole", sts_error(code, "words"))
    with pytest.raises(AwsError) as caught:
        kms.retire_grant(CELL, KEY_ARN, GRANT_ID)
    assert (caught.value.operation, caught.value.code) == ("AssumeRole", code)
    assert caught.value.answer_lost


def test_an_answer_nested_too_deep_to_be_read_leaves_it_open(wire: Wire, kms: Kms) -> None:
    wire.reply("CreateGrant", answer("[" * 100_000))
    with pytest.raises(AwsError) as caught:
        create(kms)
    assert (caught.value.code, caught.value.kind) == ("MalformedResponse", Kind.TRANSPORT)


@pytest.mark.usefixtures("own_keys")
def test_what_assume_role_lost_is_nothing_that_was_asked_of_kms(wire: Wire, parts: Parts) -> None:
    kms = Kms(parts.connect())
    wire.reply("AssumeRole", ReadTimeoutError(endpoint_url="x"), sts_error("AccessDenied", "words"))
    with pytest.raises(AwsError) as caught:
        kms.retire_grant(CELL, KEY_ARN, GRANT_ID)
    assert (caught.value.operation, caught.value.answer_lost) == ("AssumeRole", False)
    assert not caught.value.may_have_taken_effect
    assert wire.of("RetireGrant") == []


@pytest.mark.usefixtures("own_keys")
def test_nor_is_it_where_sts_gives_no_answer_at_all(wire: Wire, parts: Parts) -> None:
    kms = Kms(parts.connect())
    wire.reply("AssumeRole", ReadTimeoutError(endpoint_url="x"))
    with pytest.raises(AwsError) as caught:
        kms.retire_grant(CELL, KEY_ARN, GRANT_ID)
    assert caught.value.kind is Kind.TRANSPORT
    assert not caught.value.may_have_taken_effect


def test_an_organisations_deny(wire: Wire, kms: Kms) -> None:
    message = (
        "User: x is not authorized to perform: kms:CreateGrant with an explicit deny in a service control policy"
    )
    wire.reply("CreateGrant", error("AccessDeniedException", message))
    with pytest.raises(AwsError) as caught:
        create(kms)
    assert caught.value.kind is Kind.ORG_DENIED


@pytest.mark.usefixtures("own_keys")
@pytest.mark.parametrize("action", ["ListGrants", "RetireGrant"])
def test_calls_keep_within_the_quotas(parts: Parts, action: str) -> None:
    kms = Kms(parts.connect())
    parts.wire.reply("ListGrants", answer({"Grants": []}))
    parts.wire.reply("RetireGrant", answer(""))
    for _ in range(3 * QUOTAS[action]):
        flat(kms.grants(CELL, KEY_ARN)) if action == "ListGrants" else kms.retire_grant(CELL, KEY_ARN, GRANT_ID)
    assert 3.0 < parts.time < 4.0
