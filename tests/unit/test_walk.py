"""Many listings at once, page by page, and none kept."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator

import pytest

from cado_ops.errors import AwsError
from cado_ops.model import Cell, Grant
from cado_ops.observe.grants import GrantPage, walk

CELL = Cell("111111111111", "eu-west-1")


class Page(list[Grant]):
    """A list that can be watched for its end."""


def grant(key: str, number: int) -> Grant:
    return Grant(CELL.account, CELL.region, key, f"{number:064x}", None, "arn:aws:iam::111111111111:role/X", ())


def listings(number: int) -> list[tuple[Cell, str | None]]:
    return [(CELL, f"key-{each}") for each in range(number)]


def test_every_page_of_every_key_comes_once_and_the_last_is_told() -> None:
    def read(cell: Cell, key: str | None) -> Iterator[list[Grant]]:
        for page in range(3):
            yield [grant(key or "", page * 2 + each) for each in range(2)]

    pages = list(walk(listings(20), read, max_concurrency=4))
    found = {(each.key_arn, each.grant_id) for page in pages for each in page.grants}
    assert found == {(f"key-{key}", f"{number:064x}") for key in range(20) for number in range(6)}
    last = [page for page in pages if page.last]
    assert sorted(str(page.key_arn) for page in last) == sorted(f"key-{each}" for each in range(20))
    assert {page.total for page in last} == {6}


@pytest.mark.parametrize("keys", [40, 400])
def test_no_more_pages_are_held_than_are_read_at_once(keys: int) -> None:
    """However many keys there are."""
    alive: weakref.WeakSet[Page] = weakref.WeakSet()
    lock = threading.Lock()
    most = 0
    Page.__hash__ = object.__hash__  # type: ignore[method-assign,assignment]

    def read(cell: Cell, key: str | None) -> Iterator[list[Grant]]:
        for number in range(5):
            page = Page([grant(key or "", number)])
            with lock:
                alive.add(page)
            yield page

    seen = 0
    for page in walk(listings(keys), read, max_concurrency=4):
        seen += len(page.grants)
        with lock:
            most = max(most, len(alive))
    assert seen == keys * 5
    # One in each thread's hands, one more that each has just given away, and the one looked at.
    assert most <= 4 * 2 + 2


def test_a_key_that_fails_is_told_and_the_others_go_on() -> None:
    def read(cell: Cell, key: str | None) -> Iterator[list[Grant]]:
        yield [grant(key or "", 1)]
        if key == "key-1":
            raise AwsError("AccessDeniedException", "no")
        yield [grant(key or "", 2)]

    pages = list(walk(listings(3), read, max_concurrency=2))
    failed: list[GrantPage] = [page for page in pages if page.error is not None]
    assert [(page.key_arn, page.last, page.error and page.error.code) for page in failed] == [
        ("key-1", True, "AccessDeniedException")
    ]
    assert sum(len(page.grants) for page in pages) == 5


def test_a_fault_of_our_own_is_a_failure_of_its_key() -> None:
    def read(cell: Cell, key: str | None) -> Iterator[list[Grant]]:
        raise ZeroDivisionError
        yield []

    [page] = walk(listings(1), read, max_concurrency=1)
    assert page.error is not None
    assert page.error.code == "InternalError"
