"""Changes of grants as plain data: written and read back, and nothing done that is not shown."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cado_ops.errors import RefusedError
from cado_ops.grant_operations import FULL
from cado_ops.model import SSM_TAG, Caller, ErrorInfo, Grant, Outcome, Owner
from cado_ops.plan.change import Action, TagChange
from cado_ops.plan.grant_change import (
    ENDING,
    GrantChange,
    grant_change_from,
    listed,
    on_grant,
    on_key,
    volumes_bound,
)
from cado_ops.plan.planfile import SavedPlan, dump_plan, load_plan
from cado_ops.plan.records import change_from, check_scope_of
from tests.unit.grant_samples import (
    ACCOUNT,
    CADO,
    CASES,
    CELL,
    CONSTRAINTS,
    CREATED,
    DUES,
    EBS,
    GONE_ROLE,
    GRANTEES,
    KEY_ARN,
    LATE,
    OPERATION_SETS,
    OPS,
    OTHER_ACCOUNT,
    OTHER_KEY,
    OTHER_OPS,
    a_grant,
    a_key,
    grant_id,
    name_of,
    our_grant,
)

# Any code point: a name or a grantee is whatever a server answered.
TEXT = st.text(st.characters(codec=None, categories=None), max_size=8)
MAYBE = st.none() | TEXT
TEXTS = st.lists(TEXT, max_size=2).map(tuple)


@st.composite
def changes(draw: st.DrawFn) -> GrantChange:
    """Any change at all, of grants that there are, too."""
    name = draw(MAYBE | st.builds(name_of, CASES, st.none() | DUES))
    action, outcome = draw(st.sampled_from(Action)), draw(st.sampled_from(Outcome))
    return GrantChange(
        account=draw(TEXT),
        region=draw(TEXT),
        id=draw(TEXT),
        action=action,
        key_arn=draw(MAYBE if action is Action.NONE else TEXT),
        grant_id=draw(TEXT if action in ENDING and outcome not in (Outcome.FAILED, Outcome.UNCHANGED) else MAYBE),
        name=name,
        grantee_principal=draw(MAYBE | GRANTEES),
        retiring_principal=draw(MAYBE),
        issuing_account=draw(MAYBE),
        operations=draw(TEXTS | OPERATION_SETS),
        constraints=draw(CONSTRAINTS),
        created=draw(st.none() | DUES),
        owner=draw(st.none() | st.sampled_from(Owner)),
        serves=draw(TEXTS),
        after=draw(MAYBE),
        outcome=outcome,
        warnings=draw(TEXTS),
        error=draw(st.none() | st.builds(ErrorInfo, TEXT, TEXT, MAYBE)),
    )


CREATE = replace(
    on_key(a_key(), name_of(), Action.CREATE), name=name_of(), grantee_principal=CADO, operations=FULL,
    retiring_principal=OPS, owner=Owner.OURS,
)  # fmt: skip
RETIRE = on_grant(our_grant(), Action.RETIRE, owner=Owner.OURS)


def through_json(change: GrantChange) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(json.dumps(change.as_record()))
    return record


class TestRecords:
    @settings(max_examples=40)
    @given(changes())
    def test_a_record_is_read_back(self, change: GrantChange) -> None:
        assert change_from(through_json(change)) == change

    @settings(max_examples=40)
    @given(changes())
    def test_an_item_holds_what_the_reference_says_and_nothing_else(self, change: GrantChange) -> None:
        assert list(change.as_item()) == [
            "account", "region", "key_arn", "grant_id", "name", "grantee_principal", "retiring_principal",
            "issuing_account", "operations", "creation_date", "case", "expires_at", "owner", "serves", "action",
            "outcome", "warnings", "error",
        ]  # fmt: skip

    @settings(max_examples=40)
    @given(st.builds(replace, st.sampled_from([a_grant(), our_grant(), our_grant(due=LATE)]),
        grantee_principal=MAYBE, grantee_service=MAYBE, constraints=CONSTRAINTS, created=st.none() | DUES,
    ), st.sampled_from(Owner), TEXTS)  # fmt: skip
    def test_what_is_listed_is_the_item_of_a_change_of_nothing(
        self, grant: Grant, owner: Owner, warnings: tuple[str, ...]
    ) -> None:
        change = on_grant(grant, Action.NONE, owner=owner, warnings=warnings, outcome=Outcome.LISTED)
        assert listed(grant, owner, warnings) == change.as_item()
        assert list(listed(grant, owner, warnings)) == list(change.as_item())

    def test_fractions_of_a_second_are_dropped(self) -> None:
        precise = replace(RETIRE, created=CREATED + timedelta(microseconds=5))
        assert grant_change_from(precise.as_record()).created == CREATED

    def test_case_and_due_time_are_those_of_the_name(self) -> None:
        item = on_grant(our_grant(due=LATE), Action.NONE).as_item()
        assert (item["case"], item["expires_at"]) == ("IR-42", "2026-11-28T18:00:00Z")
        item = on_grant(a_grant(name="made by hand"), Action.NONE).as_item()
        assert (item["case"], item["expires_at"]) == (None, None)

    def test_a_services_grant_shows_the_service(self) -> None:
        grant = a_grant(grantee_principal=None, grantee_service="backup.amazonaws.com")
        assert on_grant(grant, Action.NONE).grantee_principal == "backup.amazonaws.com"

    @pytest.mark.parametrize(
        "change",
        [replace(CREATE, key_arn=None), replace(RETIRE, key_arn=None), replace(RETIRE, grant_id=None)],
        ids=["create", "retire", "no-grant"],
    )
    def test_what_is_to_change_nothing_in_particular_is_no_change(self, change: GrantChange) -> None:
        with pytest.raises(ValueError, match="nothing"):
            change_from(through_json(change))

    def test_tags_are_read_as_tags(self) -> None:
        tag = TagChange("1", "r", "i-1", "", "running", Action.TAG, {SSM_TAG: None}, {SSM_TAG: "True"})
        assert change_from(tag.as_record()) == tag

    @pytest.mark.parametrize("field", sorted(RETIRE.as_record().keys() - {"case", "expires_at", "key_arn"}))
    def test_what_lacks_a_field_is_no_change(self, field: str) -> None:
        record = through_json(RETIRE)
        del record[field]
        with pytest.raises(ValueError, match="no change"):
            change_from(record)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"account": 1}, {"region": None}, {"id": ["x"]}, {"key_arn": 7}, {"name": 7}, {"grant_id": {}},
            {"action": "destroy"}, {"outcome": "done"}, {"owner": "me"}, {"operations": [1]}, {"operations": None},
            {"serves": 7}, {"warnings": [None]}, {"constraints": None}, {"constraints": []},
            {"constraints": {"EncryptionContextSubset": ["a"]}}, {"after": 1},
            {"constraints": {"EncryptionContextSubset": {"a": 1}}}, {"error": {"code": "x"}},
            {"creation_date": "yesterday"}, {"creation_date": 7}, {"error": "no"},
        ],
        ids=str,
    )  # fmt: skip
    def test_a_wrong_type_is_no_change(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=r"."):
            change_from(through_json(RETIRE) | wrong)

    @pytest.mark.parametrize("record", [None, 7, "x", [], {}, {"key_arn": None}])
    def test_what_is_no_record_is_no_change(self, record: Any) -> None:
        with pytest.raises(ValueError, match="no change"):
            change_from(record)


PLAN = SavedPlan(
    command="kms grant",
    case="IR-42",
    created=datetime(2026, 11, 23, 17, 45, 1, tzinfo=UTC),
    caller=Caller("1" * 12, f"arn:aws:sts::{'1' * 12}:assumed-role/ops/me"),
    roles=dict.fromkeys(("role_name", "external_id", "session_name", "source_identity")) | {"role_arns": {}},
    home_region="eu-west-1",
    targets=1,
    targets_failed=0,
    account_names={},
    changes=[],
    failures=[],
)


class TestPlanFiles:
    @pytest.mark.parametrize(
        "some",
        [
            [CREATE],
            [CREATE, replace(RETIRE, after=CREATE.id)],
            [replace(RETIRE, action=Action.REVOKE)],
            [
                replace(
                    CREATE, constraints={"SourceArn": "x", "EncryptionContextSubset": {"a": "b"}}, name="again/1"
                )
            ],
            [on_grant(our_grant(due=LATE), Action.RETIRE, owner=Owner.OURS)],
            [on_grant(a_grant(), Action.RETIRE, owner=Owner.PLATFORM)],
            [on_grant(a_grant(grantee_principal=GONE_ROLE, name=name_of()), Action.RETIRE, owner=Owner.OURS)],
            [replace(CREATE, action=Action.NONE, name=None, key_arn=None, outcome=Outcome.SKIPPED)],
        ],
    )
    def test_a_plan_of_grants_is_read_back(self, some: list[GrantChange]) -> None:
        plan = replace(PLAN, changes=some)
        loaded = load_plan(dump_plan(plan), "plan.json")
        assert replace(loaded, digest="") == plan

    @settings(max_examples=30)
    @given(st.lists(changes(), max_size=3))
    def test_whatever_is_only_looked_at_is_read_back(self, some: list[GrantChange]) -> None:
        some = [replace(each, action=Action.NONE) for each in some]
        assert load_plan(dump_plan(replace(PLAN, changes=some)), "plan.json").changes == some

    def test_a_token_has_no_place_in_a_plan(self) -> None:
        assert "token" not in dump_plan(replace(PLAN, changes=[CREATE, RETIRE])).lower()

    @pytest.mark.parametrize("field", ["operations", "serves", "warnings"])
    def test_a_text_in_place_of_a_list_is_refused(self, field: str) -> None:
        """Python would take its letters for the list."""
        broken = replace(RETIRE, action=Action.NONE, operations=(), serves=(), warnings=())
        record = broken.as_record() | {field: ""}
        plan = replace(PLAN, changes=[_Record(record)])  # type: ignore[list-item]
        with pytest.raises(RefusedError, match="is no list"):
            load_plan(dump_plan(plan), "plan.json")

    def test_a_forged_change_is_refused_with_the_plan(self) -> None:
        forged = on_grant(our_grant(grantee_principal=EBS), Action.RETIRE, owner=Owner.OURS)
        with pytest.raises(RefusedError, match="never ended"):
            load_plan(dump_plan(replace(PLAN, changes=[CREATE, forged])), "plan.json")


class _Record:
    def __init__(self, record: dict[str, Any]) -> None:
        self._record = record

    def as_record(self) -> dict[str, Any]:
        return self._record


class TestForgedRecords:
    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (replace(RETIRE, action=Action.TAG), "nothing to be done with a grant"),
            (replace(RETIRE, action=Action.UNTAG), "nothing to be done with a grant"),
            (replace(RETIRE, account=OTHER_ACCOUNT), "is not in"),
            (replace(RETIRE, region="us-east-1"), "is not in"),
            (replace(RETIRE, key_arn=None), "is not in"),
            (replace(RETIRE, key_arn="1234"), "is not in"),
            (replace(RETIRE, key_arn=KEY_ARN.replace(":kms:", ":s3:")), "is not in"),
            (replace(CREATE, key_arn=KEY_ARN.replace(ACCOUNT, OTHER_ACCOUNT)), "is not in"),
            (replace(RETIRE, grant_id=None), "has an id"),
            (replace(RETIRE, grant_id="", action=Action.REVOKE), "has an id"),
            (replace(CREATE, name=None), "has a name"),
            (replace(CREATE, grantee_principal=None), "has a name"),
            (replace(CREATE, operations=()), "has a name"),
            (replace(CREATE, operations=("Decrypt",)), "is not that of the grant's terms"),
            (replace(CREATE, grantee_principal=f"arn:aws:iam::{OTHER_ACCOUNT}:role/x"), "is not that of"),
            (replace(CREATE, constraints={"SourceArn": "x"}), "is not that of"),
            (replace(RETIRE, owner=Owner.OTHER), "never ended"),
            (replace(RETIRE, owner=Owner.SERVICE), "never ended"),
            (replace(RETIRE, owner=None), "never ended"),
            (replace(RETIRE, name=None), "never ended"),
            (replace(RETIRE, name="cado-ops/IR-42"), "never ended"),
            (replace(RETIRE, operations=("Decrypt",)), "never ended"),
            (replace(RETIRE, name=name_of(key_arn=OTHER_KEY)), "never ended"),
            (on_grant(our_grant(grantee_principal=EBS), Action.RETIRE, owner=Owner.OURS), "never ended"),
            (on_grant(a_grant(grantee_principal=EBS), Action.RETIRE, owner=Owner.PLATFORM), "never ended"),
            (on_grant(a_grant(grantee_principal="x.amazonaws.com"), Action.REVOKE, owner=Owner.PLATFORM), "never"),
        ],
    )  # fmt: skip
    def test_are_refused(self, change: GrantChange, words: str) -> None:
        with pytest.raises(ValueError, match=words):
            check_scope_of(change)

    @pytest.mark.parametrize("change", [CREATE, RETIRE, replace(RETIRE, action=Action.REVOKE)])
    def test_what_a_planner_made_is_not(self, change: GrantChange) -> None:
        check_scope_of(change)

    def test_what_is_left_alone_may_be_anything(self) -> None:
        check_scope_of(replace(RETIRE, action=Action.NONE, key_arn=None, owner=Owner.SERVICE))


class TestResults:
    def test_a_result_brings_the_change_up_to_date(self) -> None:
        done = CREATE.of_grant(our_grant(7))
        again = CREATE.with_result(json.loads(json.dumps(done.result())))
        assert (again.grant_id, again.created, again.issuing_account) == (grant_id(7), CREATED, ACCOUNT)
        assert again.with_result({}) == again

    def test_of_an_ended_grant_the_id_stays(self) -> None:
        nothing = {"grant_id": None, "issuing_account": None, "creation_date": None}
        assert RETIRE.with_result(nothing) == RETIRE


class TestTheGrantThatAChangeMakes:
    """KMS API reference, CreateGrant: the same name and parameters give the same grant again."""

    def test_is_that_of_the_same_name_and_terms(self) -> None:
        assert CREATE.made({grant_id(7): our_grant(7)}) == our_grant(7)

    @pytest.mark.parametrize(
        "other",
        [
            our_grant(due=LATE),
            our_grant(case="IR-43"),
            our_grant(retiring_principal=OTHER_OPS),
            our_grant(retiring_principal=None),
            our_grant(key_arn=OTHER_KEY),
            a_grant(),
            a_grant(name=name_of(), operations=("Decrypt",)),
            a_grant(name=name_of(), grantee_principal=GONE_ROLE),
            a_grant(name=name_of(), key_arn=OTHER_KEY),
            a_grant(name=name_of(), constraints={"SourceArn": "x"}),
        ],
    )
    def test_is_no_other(self, other: Any) -> None:
        assert CREATE.made({other.grant_id: other}) is None

    def test_of_several_is_the_oldest(self) -> None:
        """A server that makes a second one all the same."""
        there = [
            our_grant(1, created=None),
            our_grant(2, created=CREATED + timedelta(seconds=1)),
            our_grant(4),
            our_grant(3),
        ]
        assert CREATE.made({each.grant_id: each for each in there}) == there[3]


@pytest.mark.parametrize(
    ("constraints", "expected"),
    [
        ({}, ()),
        ({"EncryptionContextSubset": {"aws:ebs:id": "vol-1"}}, ("vol-1",)),
        ({"EncryptionContextEquals": {"aws:ebs:id": "vol-2"}}, ("vol-2",)),
        (
            {f"EncryptionContext{name}": {"aws:ebs:id": f"vol-{name}"} for name in ("Subset", "Equals")},
            ("vol-Equals", "vol-Subset"),
        ),
        ({"EncryptionContextSubset": {"aws:ebs:id": "snap-1"}}, ()),
        ({"EncryptionContextSubset": {"other": "vol-1"}}, ()),
        ({"EncryptionContextSubset": None}, ()),
        ({"SourceArn": "vol-1"}, ()),
    ],
)  # fmt: skip
def test_the_volumes_that_a_grant_is_bound_to(constraints: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert volumes_bound(constraints) == expected
    assert on_grant(a_grant(constraints=constraints), Action.NONE).serves == expected


def test_warnings_are_added_and_not_lost() -> None:
    once = RETIRE.ended(Outcome.UNKNOWN, warnings=("a",)).ended(Outcome.CHANGED, warnings=("b",))
    assert (once.warnings, once.outcome, once.cell) == (("a", "b"), Outcome.CHANGED, CELL)
