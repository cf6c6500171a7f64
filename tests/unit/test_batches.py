"""A call for many instances that AWS refuses whole if one of them is bad."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cado_ops.errors import AwsError, Kind
from cado_ops.workflow.batches import HOPELESS, LARGEST, send_shrinking


def named(error: AwsError) -> list[str]:
    return re.findall(r"i-\d+", error.message) if error.code == "NotFound" else []


class Server:
    """Refuses a call that has a missing instance by naming some of them, one with a forbidden one by no name."""

    def __init__(self, missing: Collection[str] = (), forbidden: Collection[str] = (), names: int = 99) -> None:
        self.missing, self.forbidden, self.names = set(missing), set(forbidden), names
        self.calls: list[list[str]] = []

    def __call__(self, ids: list[str]) -> str:
        assert ids
        self.calls.append(ids)
        gone = [each for each in ids if each in self.missing][: self.names]
        if gone:
            raise AwsError("NotFound", f"The instance IDs '{', '.join(gone)}' do not exist", kind=Kind.NOT_FOUND)
        if self.forbidden & set(ids):
            raise AwsError("Denied", "You are not authorized", kind=Kind.DENIED)
        return f"request-{len(self.calls)}"


def ids(count: int) -> list[str]:
    return [f"i-{number}" for number in range(count)]


def test_one_call_where_all_is_well() -> None:
    server = Server()
    sent = send_shrinking(ids(1000), server, named)
    assert len(server.calls) == 1
    assert sent.accepted == dict.fromkeys(ids(1000), "request-1")
    assert (sent.refused, sent.not_sent) == ({}, [])


def test_no_call_for_nothing() -> None:
    server = Server()
    sent = send_shrinking([], server, named)
    assert (server.calls, sent.accepted) == ([], {})


def test_at_most_a_thousand_a_call() -> None:
    server = Server()
    send_shrinking(ids(2001), server, named)
    assert [len(call) for call in server.calls] == [LARGEST, LARGEST, 1] == [1000, 1000, 1]


def test_named_instances_are_dropped_and_the_rest_sent_again() -> None:
    server = Server(missing=["i-3", "i-7"])
    sent = send_shrinking(ids(10), server, named)
    assert len(server.calls) == 2
    assert set(sent.refused) == {"i-3", "i-7"}
    assert sent.accepted.keys() == set(ids(10)) - {"i-3", "i-7"}


def test_all_named_needs_no_second_call() -> None:
    server = Server(missing=ids(3))
    sent = send_shrinking(ids(3), server, named)
    assert len(server.calls) == 1
    assert sent.refused.keys() == set(ids(3))


def test_aws_names_them_one_at_a_time() -> None:
    server = Server(missing=["i-0", "i-1", "i-2"], names=1)
    sent = send_shrinking(ids(5), server, named)
    assert (set(sent.refused), set(sent.accepted)) == ({"i-0", "i-1", "i-2"}, {"i-3", "i-4"})


def test_a_name_that_was_not_asked_for_does_not_go_on_for_ever() -> None:
    def send(batch: list[str]) -> str:
        raise AwsError("NotFound", "The instance ID 'i-99' does not exist", kind=Kind.NOT_FOUND)

    sent = send_shrinking(ids(4), send, named)
    assert sent.refused.keys() == set(ids(4))


def test_an_unnamed_refusal_is_halved_to_the_guilty_one() -> None:
    server = Server(forbidden=["i-700"])
    sent = send_shrinking(ids(1000), server, named)
    assert set(sent.refused) == {"i-700"}
    assert len(sent.accepted) == 999
    assert len(server.calls) <= 21, "two a halving"


def test_each_refused_instance_has_its_own_error() -> None:
    server = Server(missing=["i-1"], forbidden=["i-2"])
    sent = send_shrinking(ids(4), server, named)
    assert {each: error.code for each, error in sent.refused.items()} == {"i-1": "NotFound", "i-2": "Denied"}


def test_that_an_answer_was_lost_is_said_of_each_that_is_refused_later() -> None:
    """The first call may have taken them all: a refusal of one of them tells nothing of that."""
    server = Server(forbidden=ids(1))
    lost = [AwsError("Denied", "You are not authorized", kind=Kind.DENIED, answer_lost=True)]

    def send(batch: list[str]) -> str:
        if lost:
            raise lost.pop()
        return server(batch)

    sent = send_shrinking(ids(4), send, named)
    assert sorted(sent.accepted) == ["i-1", "i-2", "i-3"]
    assert {each: error.answer_lost for each, error in sent.refused.items()} == {"i-0": True}
    assert not send_shrinking(ids(4), server, named).refused["i-0"].answer_lost


def test_where_nobody_is_accepted_it_gives_up() -> None:
    server = Server(forbidden=ids(1000))
    sent = send_shrinking(ids(1000), server, named)
    assert sent.refused.keys() == set(ids(1000))
    assert len(server.calls) < 6 * HOPELESS
    assert sum(len(call) == 1 for call in server.calls) <= 3 * HOPELESS
    assert "not tried singly" in sent.refused["i-999"].message


def test_giving_up_leaves_no_small_batch_unjudged() -> None:
    """The one behind seventeen guilty ones is tried by itself."""
    server = Server(forbidden=ids(17))
    sent = send_shrinking(ids(100), server, named)
    assert sent.refused.keys() == set(ids(17))


def test_it_does_not_give_up_once_one_was_accepted() -> None:
    server = Server(forbidden=ids(40)[1:])
    sent = send_shrinking(ids(40), server, named)
    assert sent.accepted.keys() == {"i-0"}
    assert sum(len(call) == 1 for call in server.calls) == 40


@pytest.mark.parametrize("kind", [Kind.CREDENTIALS, Kind.THROTTLED, Kind.TRANSPORT])
def test_what_is_not_about_instances_is_not_halved(kind: Kind) -> None:
    calls = 0

    def send(batch: list[str]) -> str:
        nonlocal calls
        calls += 1
        raise AwsError("Code", "words", kind=kind)

    sent = send_shrinking(ids(8), send, named)
    assert (calls, sent.refused.keys()) == (1, set(ids(8)))


def stop_after(calls: int, server: Server) -> Callable[[], bool]:
    return lambda: len(server.calls) >= calls


def test_after_a_stop_nothing_more_is_sent() -> None:
    server = Server()
    sent = send_shrinking(ids(2500), server, named, stop_after(1, server))
    assert sent.accepted.keys() == set(ids(1000))
    assert sent.not_sent == ids(2500)[1000:]


def test_a_stop_between_halves() -> None:
    server = Server(forbidden=["i-3"])
    sent = send_shrinking(ids(4), server, named, stop_after(2, server))
    assert (set(sent.accepted), sent.refused, sent.not_sent) == ({"i-0", "i-1"}, {}, ["i-2", "i-3"])


def test_stopped_from_the_start() -> None:
    server = Server()
    assert send_shrinking(ids(3), server, named, lambda: True).not_sent == ids(3)
    assert server.calls == []


FEW = st.sets(st.integers(0, 79), max_size=HOPELESS - 1)


@given(st.integers(0, 80), FEW, st.sets(st.integers(0, 79)), st.integers(1, 5), st.none() | st.integers(0, 20))
def test_every_instance_ends_in_one_place_and_the_right_one(
    count: int, forbidden: set[int], missing: set[int], names: int, stop: int | None
) -> None:
    server = Server({f"i-{n}" for n in missing}, {f"i-{n}" for n in forbidden}, names)
    stopped = stop_after(stop, server) if stop is not None else (lambda: False)
    sent = send_shrinking(ids(count), server, named, stopped)
    ends = [*sent.accepted, *sent.refused, *sent.not_sent]
    assert sorted(ends) == sorted(ids(count)), "each in exactly one place"
    bad = server.missing | server.forbidden
    assert not bad & sent.accepted.keys()
    assert sent.refused.keys() <= bad
    if stop is None:
        assert sent.not_sent == []
