"""IAM: roles looked up, and who the two roles are to KMS."""

from __future__ import annotations

from typing import Any

import pytest

from cado_ops.aws.connection import Connection
from cado_ops.aws.credentials import Roles
from cado_ops.aws.iam import Iam, Role
from cado_ops.errors import AwsError, Kind
from cado_ops.model import Caller
from cado_ops.observe.roles import CadoRole, find_cado_role, find_operator
from cado_ops.scope import CadoRoles
from tests.gateway.fake_aws import HOME, Answer, Parts, Wire, sts, sts_error

ACCOUNT = "222222222222"
CADO = f"arn:aws:iam::{ACCOUNT}:role/CadoResponseRole"
WORDS = ("CadoResponse", "DarktraceForensics")


def role(arn: str) -> str:
    return f"<RoleName>{arn.rpartition('/')[2]}</RoleName><Arn>{arn}</Arn>"


def got(arn: str) -> Answer:
    return sts("GetRole", f"<Role>{role(arn)}</Role>")


def listed(*arns: str, marker: str = "") -> Answer:
    members = "".join(f"<member>{role(arn)}</member>" for arn in arns)
    more = (
        f"<IsTruncated>true</IsTruncated><Marker>{marker}</Marker>"
        if marker
        else "<IsTruncated>false</IsTruncated>"
    )
    return sts("ListRoles", f"<Roles>{members}</Roles>{more}")


NO_ROLE = sts_error("NoSuchEntity", "The role with name X cannot be found.", 404)
DENIED = sts_error("AccessDenied", "not authorized to perform: iam:GetRole")


@pytest.fixture
def wire(line: tuple[Wire, Connection]) -> Wire:
    return line[0]


@pytest.fixture
def iam(line: tuple[Wire, Connection]) -> Iam:
    return Iam(line[1])


class TestGetRole:
    def test_request(self, wire: Wire, iam: Iam) -> None:
        arn = f"arn:aws:iam::{ACCOUNT}:role/ir/CadoOperator"
        wire.reply("GetRole", got(arn))
        assert iam.role(ACCOUNT, "CadoOperator") == Role(arn)
        [request] = wire.of("GetRole")
        assert request.parameters == {"RoleName": "CadoOperator"}
        assert request.service == "iam"
        assert ACCOUNT in request.key

    def test_no_such_role(self, wire: Wire, iam: Iam) -> None:
        wire.reply("GetRole", NO_ROLE)
        assert iam.role(ACCOUNT, "X") is None

    @pytest.mark.parametrize(
        ("answer", "kind"), [(DENIED, Kind.DENIED), (sts_error("InvalidClientTokenId"), Kind.CREDENTIALS)]
    )
    def test_not_knowing_is_not_the_same(self, wire: Wire, iam: Iam, answer: Answer, kind: Kind) -> None:
        wire.reply("GetRole", answer)
        with pytest.raises(AwsError) as caught:
            iam.role(ACCOUNT, "X")
        assert caught.value.kind is kind

    def test_an_answer_that_is_none(self, wire: Wire, iam: Iam) -> None:
        wire.reply("GetRole", sts("GetRole", ""))
        with pytest.raises(AwsError) as caught:
            iam.role(ACCOUNT, "X")
        assert caught.value.code == "MalformedResponse"


class TestListRoles:
    def test_all_pages_are_searched(self, wire: Wire, iam: Iam) -> None:
        names = ["StackSet-CadoResponseRole-1A", "Payroll", "x-DarktraceForensics", "cadoresponserole"]
        arns = [f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in names]
        wire.reply("ListRoles", listed(*arns[:2], marker="m"), listed(marker="n"), listed(*arns[2:]))
        assert iam.roles_named(ACCOUNT, WORDS) == [arns[0], arns[2]]
        assert [request.parameters for request in wire.of("ListRoles")] == [
            {"MaxItems": "1000"},
            {"MaxItems": "1000", "Marker": "m"},
            {"MaxItems": "1000", "Marker": "n"},
        ]

    def test_a_word_in_the_path_is_no_name(self, wire: Wire, iam: Iam) -> None:
        wire.reply("ListRoles", listed(f"arn:aws:iam::{ACCOUNT}:role/CadoResponse/Other"))
        assert iam.roles_named(ACCOUNT, WORDS) == []


class TestTheCadoRole:
    def find(self, iam: Iam, named: str = "CadoResponseRole", of_list: str | None = None) -> CadoRole:
        return find_cado_role(iam, ACCOUNT, CadoRoles(named, {ACCOUNT: of_list} if of_list else {}), "aws")

    def test_that_is_there(self, wire: Wire, iam: Iam) -> None:
        wire.reply("GetRole", got(CADO))
        assert self.find(iam) == CadoRole(CADO, known=True)

    @pytest.mark.parametrize("named", ["CadoResponseRole", "ir/CadoResponseRole", "/other/CadoResponseRole"])
    def test_a_name_stands_for_the_role_whatever_its_path(self, wire: Wire, iam: Iam, named: str) -> None:
        there = f"arn:aws:iam::{ACCOUNT}:role/ir/CadoResponseRole"
        wire.reply("GetRole", got(there))
        assert self.find(iam, named) == CadoRole(there, known=True)
        assert wire.of("GetRole")[0].parameters == {"RoleName": "CadoResponseRole"}

    @pytest.mark.parametrize("by", ["option", "list"])
    def test_an_arn_stands_for_itself_alone(self, wire: Wire, iam: Iam, by: str) -> None:
        there = f"arn:aws:iam::{ACCOUNT}:role/ir/CadoResponseRole"
        wire.reply("GetRole", got(there))
        found = self.find(iam, CADO) if by == "option" else self.find(iam, "X", CADO)
        assert (found.arn, found.known) == (CADO, False)
        assert found.error is not None
        assert there in found.error.message
        assert found.error.hint == f"--cado-role {there}"

    def test_where_iam_may_not_be_asked_the_name_is_taken_as_it_is(self, wire: Wire, iam: Iam) -> None:
        wire.reply("GetRole", DENIED)
        found = self.find(iam)
        assert found == CadoRole(CADO)
        assert found.unread is not None
        assert found.unread.operation == "GetRole", "and why it is not known is kept"

    def test_a_role_of_another_account_is_not_asked_for(self, wire: Wire, iam: Iam) -> None:
        other = "arn:aws:iam::333333333333:role/Cado"
        assert self.find(iam, other) == CadoRole(other)
        assert wire.requests == []

    def test_another_fault_is_raised(self, wire: Wire, iam: Iam) -> None:
        wire.reply("GetRole", sts_error("InvalidClientTokenId"))
        with pytest.raises(AwsError):
            self.find(iam)

    @pytest.mark.parametrize(
        ("others", "hint"),
        [
            (
                ["StackSet-CadoResponseRole-1A"],
                f"--cado-role arn:aws:iam::{ACCOUNT}:role/StackSet-CadoResponseRole-1A",
            ),
            (["b-DarktraceForensics", "a-CadoResponse"], "with one of "),
            ([], "not set up"),
        ],
    )
    def test_that_is_missing_gets_a_hint_of_those_that_are_like_it(
        self, wire: Wire, iam: Iam, others: list[str], hint: str
    ) -> None:
        wire.reply("GetRole", NO_ROLE)
        wire.reply("ListRoles", listed(*(f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in [*others, "Payroll"])))
        found = self.find(iam)
        assert found.error is not None
        assert found.error.code == "GranteeNotFound"
        assert f"account {ACCOUNT} has no role CadoResponseRole" in found.error.message
        assert hint in (found.error.hint or "")
        assert all(name in (found.error.hint or "") for name in others)
        assert "Payroll" not in (found.error.hint or "")

    def test_that_is_missing_where_roles_may_not_be_listed(self, wire: Wire, iam: Iam) -> None:
        wire.reply("GetRole", NO_ROLE)
        wire.reply("ListRoles", sts_error("AccessDenied"))
        found = self.find(iam)
        assert found.error is not None
        assert "iam:ListRoles: AccessDenied" in (found.error.hint or "")


class TestTheOperator:
    """In the caller's own account no role is assumed: who one is there has to be found out."""

    def find(self, connection: Connection, arn: str, own_role: str | None = None, account: str = HOME) -> Any:
        return find_operator(Iam(connection), connection, Caller(HOME, arn), account, own_role)

    SESSION = f"arn:aws:sts::{HOME}:assumed-role/CadoOperator/me"
    WITH_PATH = f"arn:aws:iam::{HOME}:role/ir/CadoOperator"

    def test_in_another_account_it_is_the_role_that_is_assumed(self, line: tuple[Wire, Connection]) -> None:
        wire, connection = line
        found = self.find(connection, self.SESSION, account=ACCOUNT)
        assert (found.principal, found.remark) == (f"arn:aws:iam::{ACCOUNT}:role/Ops", None)
        assert wire.of("GetRole") == []

    @pytest.mark.usefixtures("own_keys")
    def test_a_role_with_its_path_and_one_by_arn(self, parts: Parts) -> None:
        arn = f"arn:aws:iam::{ACCOUNT}:role/by/arn/Ops"
        connection = parts.connect(Roles("cado-ops", role_name="ir/Ops", role_arns={ACCOUNT: arn}))
        assert self.find(connection, self.SESSION, account=ACCOUNT).principal == arn
        third = self.find(connection, self.SESSION, account="333333333333")
        assert third.principal == "arn:aws:iam::333333333333:role/ir/Ops"

    def test_at_home_iam_tells_the_path_that_a_session_lacks(self, line: tuple[Wire, Connection]) -> None:
        wire, connection = line
        wire.reply("GetRole", got(self.WITH_PATH))
        assert self.find(connection, self.SESSION).principal == self.WITH_PATH
        [request] = wire.of("GetRole")
        assert request.parameters == {"RoleName": "CadoOperator"}

    def test_at_home_role_arn_tells_it_as_well(self, line: tuple[Wire, Connection]) -> None:
        wire, connection = line
        assert self.find(connection, self.SESSION, self.WITH_PATH).principal == self.WITH_PATH
        assert wire.requests == []

    def test_a_role_arn_of_another_role_says_nothing(self, line: tuple[Wire, Connection]) -> None:
        wire, connection = line
        wire.reply("GetRole", got(self.WITH_PATH))
        other = f"arn:aws:iam::{HOME}:role/Another"
        assert self.find(connection, self.SESSION, other).principal == self.WITH_PATH

    @pytest.mark.parametrize("answer", [DENIED, NO_ROLE])
    def test_a_path_that_cannot_be_known_is_refused(self, line: tuple[Wire, Connection], answer: Answer) -> None:
        wire, connection = line
        wire.reply("GetRole", answer)
        with pytest.raises(AwsError) as caught:
            self.find(connection, self.SESSION)
        if answer is DENIED:
            assert "--role-arn" in (caught.value.hint or "")

    def test_a_user_is_told_what_that_means(self, line: tuple[Wire, Connection]) -> None:
        wire, connection = line
        found = self.find(connection, f"arn:aws:iam::{HOME}:user/ir/me")
        assert found.principal == f"arn:aws:iam::{HOME}:user/ir/me"
        assert "IAM user" in found.remark
        assert wire.requests == []

    @pytest.mark.parametrize("arn", [f"arn:aws:iam::{HOME}:root", f"arn:aws:sts::{HOME}:federated-user/me"])
    def test_who_is_no_role_has_no_retiring_principal_and_is_told(
        self, line: tuple[Wire, Connection], arn: str
    ) -> None:
        found = self.find(line[1], arn)
        assert found.principal is None
        assert "--revoke" in found.remark
