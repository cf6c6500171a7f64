"""Saved plans: what is written is read back, what was edited is refused, and no file makes the reader fall over."""

from __future__ import annotations

import copy
import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cado_ops.aws.credentials import Roles
from cado_ops.errors import RefusedError
from cado_ops.model import CLAIM_PREFIX, SSM_TAG, Caller, ErrorInfo, Failure, Outcome
from cado_ops.plan.change import Action, TagChange
from cado_ops.plan.planfile import KIND, PLAN_VERSION, SavedPlan, dump_plan, load_plan
from cado_ops.plan.shapes import failure_from

WHERE = "plan.json"

# Any code point, lone surrogates and control characters too: a tag's value is whatever somebody typed.
TEXT = st.text(st.characters(codec=None, categories=None), max_size=12) | st.sampled_from(
    ["", "\x00", "\x1b[31m", "\u2028", "\ud800", "\udfff\ud800", "\U0001f600", '"', "\\", "\x7f", "é", "e\u0301"]
)
MAYBE = st.none() | TEXT
ERRORS = st.builds(ErrorInfo, TEXT, TEXT, MAYBE)
TAG_KEYS = st.just(SSM_TAG) | st.sampled_from("ABC").map(lambda case: CLAIM_PREFIX + case)


@st.composite
def changes(draw: st.DrawFn) -> TagChange:
    keys = sorted({SSM_TAG, *draw(st.sets(TAG_KEYS, max_size=3))})
    return TagChange(
        account=draw(TEXT),
        region=draw(TEXT),
        instance_id=draw(TEXT),
        name=draw(TEXT),
        state=draw(TEXT),
        action=draw(st.sampled_from(Action)),
        before={key: draw(MAYBE) for key in keys},
        after={key: draw(MAYBE) for key in keys},
        claims=tuple(draw(st.lists(TEXT, max_size=2))),
        outcome=draw(st.sampled_from(Outcome)),
        warnings=tuple(draw(st.lists(TEXT, max_size=2))),
        error=draw(st.none() | ERRORS),
    )


ROLES = st.fixed_dictionaries(
    {
        "role_name": MAYBE,
        "role_arns": st.dictionaries(TEXT, TEXT, max_size=2),
        "external_id": MAYBE,
        "session_name": MAYBE,
        "source_identity": MAYBE,
    }
)
PLANS = st.builds(
    SavedPlan,
    command=TEXT,
    case=MAYBE,
    created=st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1)).map(
        lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
    ),
    caller=st.builds(Caller, TEXT, TEXT, MAYBE),
    roles=ROLES,
    home_region=TEXT,
    targets=st.integers(0, 10**6),
    targets_failed=st.integers(0, 10**6),
    account_names=st.dictionaries(TEXT, MAYBE, max_size=3),
    changes=st.lists(changes(), max_size=3),
    failures=st.lists(st.builds(Failure, MAYBE, MAYBE, TEXT, ERRORS, MAYBE), max_size=2),
)

PLAN = SavedPlan(
    command="tag-instances",
    case="IR-42",
    created=datetime(2026, 11, 23, 17, 45, 1, tzinfo=UTC),
    caller=Caller("1" * 12, f"arn:aws:sts::{'1' * 12}:assumed-role/ops/me", "http://127.0.0.1:5000"),
    roles={
        "role_name": "Ops",
        "role_arns": {"2" * 12: f"arn:aws:iam::{'2' * 12}:role/Else"},
        "external_id": None,
        "session_name": None,
        "source_identity": "me",
    },
    home_region="eu-west-1",
    targets=8,
    targets_failed=1,
    account_names={"1" * 12: "prod é", "2" * 12: None},
    changes=[
        TagChange(
            account="1" * 12,
            region="eu-west-1",
            instance_id="i-0123456789abcdef0",
            name="web \x1b \U0001f600",
            state="running",
            action=Action.TAG,
            before={SSM_TAG: None, CLAIM_PREFIX + "IR-42": None},
            after={SSM_TAG: "True", CLAIM_PREFIX + "IR-42": "2026-11-26T18:00:00Z"},
            claims=("IR-42",),
            outcome=Outcome.FAILED,
            warnings=("a second key",),
            error=ErrorInfo("TagLimitExceeded", "words", "hint"),
        )
    ],
    failures=[Failure("2" * 12, "eu-west-1", "assume-role", ErrorInfo("AccessDenied", "no"), None)],
)


def body_of(plan: SavedPlan) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(dump_plan(plan))
    return body


def sealed(body: Any) -> str:
    """The file of such a body with a digest that fits, as anybody can make one who means to."""
    rest = {key: value for key, value in body.items() if key != "digest"}
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return json.dumps(rest | {"digest": hashlib.sha256(canonical.encode()).hexdigest()})


def read(text: str) -> SavedPlan | None:
    """The plan, or None where it is refused; anything else that is raised is a bug."""
    try:
        return load_plan(text, WHERE)
    except RefusedError as error:
        refused = error
    assert refused.message.startswith(WHERE)
    assert refused.message.isprintable(), "whatever is in the file, its refusal can be shown"
    assert len(refused.message) < 400
    return None


class TestRoundTrip:
    @given(PLANS)
    def test_what_is_saved_is_read_back(self, plan: SavedPlan) -> None:
        text = dump_plan(plan)
        loaded = load_plan(text, WHERE)
        assert replace(loaded, digest="") == plan
        assert dump_plan(loaded) == text, "and saved again it is the same file"

    @given(PLANS)
    def test_the_file_is_plain_ascii_lines(self, plan: SavedPlan) -> None:
        """So that it goes through any terminal, mail and editor, whatever an instance is called."""
        text = dump_plan(plan)
        assert text.isascii()
        assert text.endswith("}\n")
        assert all(line.isprintable() for line in text.split("\n"))

    def test_fractions_of_a_second_are_dropped(self) -> None:
        plan = replace(PLAN, created=PLAN.created.replace(microsecond=999_999))
        assert load_plan(dump_plan(plan), WHERE).created == PLAN.created

    def test_what_a_reader_of_another_version_relies_on(self) -> None:
        body = body_of(PLAN)
        assert (body["kind"], body["format_version"]) == (KIND, PLAN_VERSION) == ("cado-ops plan", 1)
        assert body["created"] == "2026-11-23T17:45:01Z"
        assert body["changes"][0]["tags_after"] == dict(PLAN.changes[0].after)
        assert load_plan(sealed(body), WHERE) == load_plan(dump_plan(PLAN), WHERE)


class TestEdits:
    """One byte replaced, put in or taken out: refused, or it changes nothing that is read."""

    REPLACED = (*range(128), 0x80, 0xC3, 0xFF)

    def edits(self, data: bytes, position: int) -> Iterator[bytes]:
        yield data[:position] + data[position + 1 :]
        for byte in self.REPLACED:
            yield data[:position] + bytes([byte]) + data[position + 1 :]
            yield data[:position] + bytes([byte]) + data[position:]

    def test_any_single_byte_anywhere(self) -> None:
        small = replace(PLAN, failures=[], account_names={})
        data = dump_plan(small).encode()
        plan = load_plan(data.decode(), WHERE)
        harmless = 0
        for position in range(len(data)):
            # Each place once with a byte of its own choice; all bytes at every place would be a quarter million.
            byte = bytes([(position * 37 + 11) % 128])
            for edited in (
                data[:position] + data[position + 1 :],
                data[:position] + byte + data[position + 1 :],
                data[:position] + byte + data[position:],
                data[:position] + bytes([data[position] ^ 0x20]) + data[position + 1 :],
                data[:position] + b" " + data[position:],
            ):
                found = read(edited.decode())
                assert found in (None, plan), edited
                harmless += found is not None
        assert harmless, "blanks between the fields are free"

    @given(st.data())
    @settings(max_examples=40)
    def test_all_bytes_at_one_place(self, data: st.DataObject) -> None:
        text = dump_plan(data.draw(st.just(PLAN) | PLANS)).encode()
        plan = load_plan(text.decode(), WHERE)
        for edited in self.edits(text, data.draw(st.integers(0, len(text) - 1))):
            try:
                found = read(edited.decode())
            except UnicodeDecodeError:
                continue  # refused by whoever reads the file: it is ASCII
            assert found in (None, plan), edited

    @given(st.integers(0, len(dump_plan(PLAN)) - 2))
    def test_cut_short(self, length: int) -> None:
        assert read(dump_plan(PLAN)[:length]) is None

    def test_other_blanks_and_another_order_are_the_same_plan(self) -> None:
        body = body_of(PLAN)
        plan = load_plan(dump_plan(PLAN), WHERE)
        turned = dict(reversed(body.items()))
        for text in (json.dumps(turned), json.dumps(body, indent=7), json.dumps(body, ensure_ascii=False)):
            assert load_plan(text, WHERE) == plan

    @pytest.mark.parametrize("field", sorted(body_of(PLAN)))
    def test_a_field_that_is_missing(self, field: str) -> None:
        body = body_of(PLAN)
        del body[field]
        assert read(json.dumps(body)) is None
        if field != "digest":
            assert read(sealed(body)) is None

    def test_a_field_that_was_added(self) -> None:
        with pytest.raises(RefusedError, match="was changed after it was saved"):
            load_plan(json.dumps(body_of(PLAN) | {"more": 1}), WHERE)

    def test_a_second_field_of_the_same_name(self) -> None:
        """Which of the two counts differs between readers of JSON."""
        text = dump_plan(PLAN)
        doubled = text.replace('"case": "IR-42"', '"case": "IR-41",\n  "case": "IR-42"', 1)
        assert doubled != text
        assert read(doubled) in (None, load_plan(text, WHERE))


class TestVersions:
    @pytest.mark.parametrize("version", [0, 2, -1, 1.5, "1", None, [1], {}, 10**30, True, 1.0])
    def test_an_unknown_version_is_named(self, version: Any) -> None:
        with pytest.raises(RefusedError, match="format") as refused:
            load_plan(sealed(body_of(PLAN) | {"format_version": version}), WHERE)
        assert repr(version) in refused.value.message
        assert refused.value.hint

    @pytest.mark.parametrize("kind", ["cado-ops journal", "", None, 1, ["cado-ops plan"]])
    def test_something_else_is_no_plan(self, kind: Any) -> None:
        with pytest.raises(RefusedError, match="is no saved plan"):
            load_plan(sealed(body_of(PLAN) | {"kind": kind}), WHERE)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
WRONG = (
    None,
    True,
    0,
    -1,
    1.5,
    float("nan"),
    10**40,
    "",
    "x",
    "\ud800",
    [],
    [[]],
    [None],
    ["x"],
    {},
    {"x": 1},
    [{}],
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value inside this one."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*path, key)
        yield from places(each, (*path, key))


def put(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(body)
    at = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return changed


class TestHostileFiles:
    """With a digest that fits: the digest finds accidents, and whoever means to can make one."""

    @pytest.mark.parametrize("path", list(places(body_of(PLAN))), ids=lambda path: ".".join(map(str, path)))
    def test_another_type_in_any_field(self, path: tuple[Any, ...]) -> None:
        """Refused, or read as a plan that can be saved again: never half a plan that breaks later on."""
        body = body_of(PLAN)
        for value in WRONG:
            found = read(sealed(put(body, path, value)))
            if found is not None:
                check_types(found)

    @given(st.data())
    def test_anything_in_any_field(self, data: st.DataObject) -> None:
        body = body_of(PLAN)
        path = data.draw(st.sampled_from(list(places(body))))
        found = read(sealed(put(body, path, data.draw(ANY_JSON))))
        if found is not None:
            check_types(found)

    @given(ANY_JSON)
    def test_any_json_at_all(self, value: Any) -> None:
        assert read(json.dumps(value)) is None

    @given(TEXT | st.text(st.sampled_from('{}[]",:0123456789.eE+-ntf \n\\u'), max_size=40))
    def test_any_text_at_all(self, text: str) -> None:
        assert read(text) is None

    @pytest.mark.parametrize("depth", [100, 900, 2_000, 100_000, 1_000_000])
    @pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"x":', "}")])
    def test_deep_nesting(self, depth: int, opening: str, closing: str) -> None:
        deep = opening * depth + "1" + closing * depth
        assert read(deep) is None
        assert read(f'{{"kind": "{KIND}", "format_version": {PLAN_VERSION}, "roles": {deep}}}') is None

    def test_nesting_that_can_only_just_be_read(self) -> None:
        """What the reader of JSON still takes may be too deep for its writer, which the digest needs."""
        for depth in range(sys.getrecursionlimit() - 200, sys.getrecursionlimit() + 5):
            deep = "[" * depth + "]" * depth
            assert read(f'{{"kind": "{KIND}", "format_version": {PLAN_VERSION}, "roles": {deep}}}') is None

    @pytest.mark.parametrize("number", ["9" * 5_000, "1e999", "-1e999", "NaN", "Infinity", "1" + "0" * 4_000])
    def test_numbers_out_of_bounds(self, number: str) -> None:
        text = dump_plan(PLAN).replace('"targets": 8', f'"targets": {number}', 1)
        assert number in text
        assert read(text) is None

    @pytest.mark.parametrize("key", ["Name", "aws:cloudformation:stack-name", "", "cado-ops:cas/A"])
    def test_a_tag_that_is_none_of_ours(self, key: str) -> None:
        """The plan that is shown names the SSM tag and claims: a plan must not change what it does not show."""
        body = body_of(PLAN)
        body["changes"][0]["tags_before"][key] = None
        body["changes"][0]["tags_after"][key] = "x"
        assert read(sealed(body)) is None

    def test_tags_before_and_after_that_do_not_go_together(self) -> None:
        body = body_of(PLAN)
        body["changes"][0]["tags_after"].pop(SSM_TAG)
        assert read(sealed(body)) is None
        body["changes"][0]["tags_before"].pop(SSM_TAG)
        assert read(sealed(body)) is None, "every change says how the SSM tag stands"

    @pytest.mark.parametrize("path", [("caller",), ("roles",), ("changes", 0, "error"), ("failures", 0, "error")])
    def test_a_field_too_many(self, path: tuple[Any, ...]) -> None:
        assert read(sealed(put(body_of(PLAN), (*path, "\x1b[31m"), "x"))) is None


def check_types(plan: SavedPlan) -> None:
    """All that the rest of the program takes for granted of a plan."""
    for value in (plan.command, plan.home_region, plan.caller.account, plan.caller.arn):
        assert isinstance(value, str)
    for value in (plan.case, plan.caller.endpoint, *plan.account_names.values()):
        assert value is None or isinstance(value, str)
    Roles(**plan.roles | {"session_name": plan.roles["session_name"] or "cado-ops"})
    for role in (*plan.roles["role_arns"].values(), *(each for each in plan.roles.values() if each is not None)):
        assert isinstance(role, str) or role is plan.roles["role_arns"]
    for number in (plan.targets, plan.targets_failed):
        assert type(number) is int
        assert number >= 0
    for failure in plan.failures:
        assert isinstance(failure.stage, str)
        for value in (failure.account, failure.region, failure.id):
            assert value is None or isinstance(value, str)
    for error in (*(each.error for each in plan.changes), *(each.error for each in plan.failures)):
        if error is not None:
            assert isinstance(error.code, str)
            assert isinstance(error.message, str)
            assert error.hint is None or isinstance(error.hint, str)
    assert all(SSM_TAG in change.before for change in plan.changes)
    # And it can be written, compared and shown.
    assert replace(load_plan(dump_plan(plan), WHERE), digest=plan.digest) == plan
    for change in plan.changes:
        json.dumps(change.as_item())


@given(st.builds(Failure, MAYBE, MAYBE, TEXT, ERRORS, MAYBE))
def test_a_failure_and_back(failure: Failure) -> None:
    assert failure_from(failure.as_json()) == failure
