"""Due times and claims."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cado_ops.due import (
    MAX_AHEAD,
    QUARTER,
    Claim,
    claim_value,
    format_due,
    is_expired,
    parse_claim,
    parse_due,
    parse_duration,
)
from cado_ops.errors import UsageError
from cado_ops.model import CLAIM_PREFIX

NOW = datetime(2026, 11, 23, 17, 46, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("72h", "2026-11-26T18:00:00Z"),
        ("30m", "2026-11-23T18:30:00Z"),
        ("1m", "2026-11-23T18:00:00Z"),
        ("7d", "2026-11-30T18:00:00Z"),
        ("1d12h", "2026-11-25T06:00:00Z"),
        ("1d2h3m", "2026-11-24T20:00:00Z"),
        ("007d", "2026-11-30T18:00:00Z"),
        ("3650d", "2036-11-20T18:00:00Z"),
        ("2026-11-26T18:07:09Z", "2026-11-26T18:07:09Z"),
        ("2026-11-26T18:07", "2026-11-26T18:07:00Z"),
        ("2026-11-26 18:07", "2026-11-26T18:07:00Z"),
        ("2026-11-26T18:07:00+02:00", "2026-11-26T16:07:00Z"),
        ("2026-11-26T18:07:00-0530", "2026-11-26T23:37:00Z"),
        ("2026-11-26T18:07:09.5Z", "2026-11-26T18:07:10Z"),
        ("2026-11-26", "2026-11-26T00:00:00Z"),
    ],
)
def test_due(text: str, expected: str) -> None:
    due = parse_due(text, NOW)
    assert format_due(due) == expected
    assert due.microsecond == 0


def test_a_full_quarter_stays() -> None:
    assert parse_due("1h", NOW.replace(minute=45, second=0, microsecond=0)) == NOW.replace(
        hour=18, minute=45, second=0, microsecond=0
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no due time"),
        ("0h", "no time ahead"),
        ("0d0h0m", "no time ahead"),
        ("72", "no due time"),
        ("72 h", "no due time"),
        ("-72h", "no due time"),
        ("1.5h", "no due time"),
        ("12h1d", "no due time"),
        ("3w", "no due time"),
        ("٣h", "no due time"),
        ("tomorrow", "no due time"),
        ("2026-02-31", "no due time"),
        ("2026-11-26-18:00", "no due time"),
        ("20261126", "no due time"),
        ("2026-11-26T18:00Z\n", "no due time"),
        ("0001-01-01T00:00+14:00", "no due time"),
        ("2026-11-23T17:46:01Z", "past"),
        ("2026-11-23", "past"),
        ("1999-01-01", "past"),
        ("4000d", "ten years"),
        ("999999999d999999999h999999999m", "ten years"),
        ("9" * 5000 + "d", "no due time"),
        ("2037-11-26", "ten years"),
    ],
)
def test_no_due(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_due(text, NOW)
    assert caught.value.message.startswith("--expires: ")
    assert message in caught.value.message
    assert "UTC" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("key", "value", "due", "keep", "readable"),
    [
        ("cado-ops:case/IR-42", "-", None, False, True),
        ("cado-ops:case/IR-42", "- keep", None, True, True),
        ("cado-ops:case/IR-42", "2026-11-26T18:00:00Z", "2026-11-26T18:00:00Z", False, True),
        ("cado-ops:case/IR-42", "2026-11-26T18:00:00Z keep", "2026-11-26T18:00:00Z", True, True),
        ("cado-ops:case/IR-42", " 2026-11-26  18:00 ", "2026-11-26T18:00:00Z", False, True),
        ("cado-ops:case/IR-42", "", None, False, False),
        ("cado-ops:case/IR-42", "keep", None, True, False),
        ("cado-ops:case/IR-42", "next week keep", None, True, False),
        ("cado-ops:case/IR-42", "- forever", None, False, False),
        ("cado-ops:case/IR-42", "9999-12-31T23:59-14:00", None, False, False),
    ],
)
def test_claim(key: str, value: str, due: str | None, keep: bool, readable: bool) -> None:
    claim = parse_claim(key, value)
    assert claim is not None
    assert (claim.case, claim.keep, claim.raw, claim.readable) == ("IR-42", keep, value, readable)
    assert (format_due(claim.due) if claim.due else None) == due


@pytest.mark.parametrize(
    "key",
    [
        "",
        "Name",
        "cado-ops:case/",
        "cado-ops:case/a b",
        "Cado-ops:case/IR-42",
        "xcado-ops:case/a",
        f"cado-ops:case/{'x' * 41}",
    ],
)
def test_no_claim(key: str) -> None:
    assert parse_claim(key, "-") is None


def test_expired() -> None:
    def at(due: datetime | None) -> bool:
        return is_expired(Claim("a", due, False, ""), NOW)

    assert at(NOW)
    assert at(NOW - timedelta(1))
    assert not at(NOW + timedelta(seconds=1))
    assert not at(None)


ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
NOWS = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=ZONES)
MINUTES = st.integers(1, MAX_AHEAD // timedelta(minutes=1))


@given(NOWS, MINUTES)
def test_from_now_is_rounded_up(now: datetime, minutes: int) -> None:
    days, hours = minutes // 1440, minutes // 60 % 24
    due = parse_due(f"{days}d{hours}h{minutes % 60}m", now)
    assert timedelta(0) <= due - (now + timedelta(minutes=minutes)) < QUARTER
    assert (due.minute % 15, due.second, due.microsecond) == (0, 0, 0)


@given(NOWS, MINUTES)
def test_due_round_trip(now: datetime, minutes: int) -> None:
    due = (now + timedelta(minutes=minutes)).replace(microsecond=0)
    if due - now <= timedelta(0):
        return
    assert parse_due(format_due(due), now) == due


@given(
    st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True),
    st.none() | st.datetimes(datetime(1000, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC)),
    st.booleans(),
)
def test_claim_round_trip(case: str, due: datetime | None, keep: bool) -> None:
    due = due.replace(microsecond=0) if due else None
    value = claim_value(due, keep)
    assert parse_claim(CLAIM_PREFIX + case, value) == Claim(case, due, keep, value)
    assert len(value) <= 256


@given(st.text(), st.text())
def test_any_tag_is_a_claim_or_none(key: str, value: str) -> None:
    parse_claim(key, value)
    claim = parse_claim("cado-ops:case/x", value)
    assert claim is not None
    assert claim.raw == value


@given(st.text() | st.text(alphabet="0123456789dhmTZ:-+ .", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        due = parse_due(text, NOW)
    except UsageError:
        return
    assert NOW < due <= NOW + MAX_AHEAD + QUARTER


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("1h0m1s", 3601), ("24h", 86400)],
)
def test_a_length_of_time(text: str, seconds: int) -> None:
    assert parse_duration(text, "--timeout") == seconds


@pytest.mark.parametrize(
    "text", ["", "0s", "0h0m", "10", "-5s", "1d", "5s1m", "25h", "86401s", "soon", "1.5h", "٣m"]
)
def test_no_length_of_time(text: str) -> None:
    with pytest.raises(UsageError, match="--timeout"):
        parse_duration(text, "--timeout")
