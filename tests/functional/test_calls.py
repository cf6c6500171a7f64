"""How many calls a command makes, and what it says of those that AWS throttled."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

from tests.functional.conftest import EU, HOME, PROD, ROLE, STAGING, US, Cli

ACCOUNTS, REGIONS = (PROD, STAGING), (EU, US)


def calls(sandbox: Any, *actions: str) -> Counter[tuple[str, str | None, str]]:
    return Counter((call.action, call.account, call.region) for call in sandbox.calls if call.action in actions)


def test_no_call_more_than_the_job_needs(cli: Cli, sandbox: Any) -> None:
    """One AssumeRole an account; a page, a batch and one look a region; no listing of regions that are named."""
    sandbox.calls.clear()
    where = ("--account", ",".join(ACCOUNTS), "--region", ",".join(REGIONS), *ROLE)
    result = cli.json("tag-instances", "--filter", "tag:Team=web", *where, "--yes")
    assert result.code == 0
    changed = {(item["account"], item["region"]) for item in result.json["items"] if item["outcome"] == "changed"}
    assert len(changed) > 1
    cells = {(account, region) for account in ACCOUNTS for region in REGIONS}
    wanted = Counter({("DescribeInstances", *cell): 1 for cell in cells})
    wanted.update((action, *cell) for cell in changed for action in ("CreateTags", "DescribeTags"))
    wanted["AssumeRole", HOME, EU] = len(ACCOUNTS)
    wanted["GetCallerIdentity", HOME, EU] = 1
    assert Counter((call.action, call.account, call.region) for call in sandbox.calls) == wanted


def test_nothing_to_change_is_nothing_but_read(cli: Cli, sandbox: Any) -> None:
    cli.json("tag-instances", "--filter", "tag:Name=web-01", "--account", PROD, "--region", EU, *ROLE, "--yes")
    sandbox.calls.clear()
    again = cli.json("tag-instances", "--filter", "tag:Name=web-01", "--account", PROD, "--region", EU, *ROLE)
    assert again.json["summary"]["unchanged"] == 1
    assert [call.action for call in sandbox.calls] == ["GetCallerIdentity", "AssumeRole", "DescribeInstances"]


def test_throttling_is_told_and_costs_no_result(cli: Cli, sandbox: Any) -> None:
    """AWS throttles one region three times: nothing fails, and the summary says where the time went."""
    refused: list[str] = []

    def throttle(request: Any) -> Any:
        if request.action == "CreateTags" and request.region == EU and len(refused) < 3:
            refused.append(request.action)
            return request.error("RequestLimitExceeded", "Request limit exceeded.", 503)
        return None

    sandbox.intercept = throttle
    where = ("--account", PROD, "--region", f"{EU},{US}", *ROLE)
    result = cli.json("tag-instances", "--filter", "tag:Team=web", *where, "--yes")
    assert (result.code, result.json["status"]) == (0, "success")
    [told] = result.json["throttling"]
    assert (told["account"], told["region"], told["action"], told["calls"]) == (PROD, EU, "CreateTags", 3)
    assert told["seconds"] == round(sum(cli.waits), 1) > 0
    assert (
        f"AWS throttled: 3 calls sent again, {told['seconds']} s waited in all: {PROD}/{EU} CreateTags"
        in result.err
    )


def test_an_account_whose_session_cannot_be_renewed_keeps_no_other_waiting(cli: Cli, sandbox: Any) -> None:
    """With one place: PROD's session has ended, and STS throttles until STAGING, which comes last, is done."""
    ended, done = threading.Event(), threading.Event()
    in_time: list[bool] = []

    class Waits(list[float]):
        def append(self, seconds: float) -> None:
            if ended.is_set():
                in_time.append(done.wait(5))
                done.set()

    def lie(request: Any) -> Any:
        if request.action == "CreateTags" and request.account == PROD and not ended.is_set():
            ended.set()
            return request.error("RequestExpired", "Request has expired.", 400)
        if request.action == "AssumeRole" and ended.is_set() and not done.is_set():
            return request.error("Throttling", "Rate exceeded", 400)
        if request.action == "DescribeTags" and request.account == STAGING:
            done.set()
        return None

    sandbox.intercept = lie
    cli.waits = Waits()
    where = ("--account", f"{PROD},{STAGING}", "--region", f"{EU},{US}", *ROLE, "--max-concurrency", "1")
    result = cli.json("tag-instances", "--filter", "tag:Team=web", *where, "--yes")
    assert result.code == 0, result.out
    assert in_time
    assert all(in_time), "STAGING waited"
    assert {item["account"] for item in result.json["items"] if item["outcome"] == "changed"} == {PROD, STAGING}


def test_where_nothing_was_throttled_nothing_is_told(cli: Cli) -> None:
    result = cli.json("targets", "--account", PROD, "--region", EU, *ROLE)
    assert "throttling" not in result.json
    assert "throttled" not in result.err


def test_ndjson_tells_it_in_the_summary(cli: Cli, sandbox: Any) -> None:
    refused: list[str] = []

    def throttle(request: Any) -> Any:
        if request.action == "DescribeInstances" and not refused:
            refused.append(request.action)
            return request.error("RequestLimitExceeded", "Request limit exceeded.", 503)
        return None

    sandbox.intercept = throttle
    result = cli("status", "--account", PROD, "--region", EU, *ROLE, "-o", "ndjson")
    assert result.lines[-1]["throttling"][0]["calls"] == 1
