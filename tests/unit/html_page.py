"""A page of ours as a browser takes it, and what no page of ours may hold."""

from __future__ import annotations

from collections.abc import Collection
from html.parser import HTMLParser
from typing import Any

from tests.hostile_text import raw

VOID = ("meta", "input")
# What every page of ours is made of.
KNOWN = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "footer", "section", "h1", "h2", "h3", "p",
    "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "a", "bdi", "code", "span", "strong", "em",
}  # fmt: skip


class Page(HTMLParser):
    """A page as a browser's parser takes it: ``tags`` in order, the text, and whether all that opens is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return "".join(text for tag, text in self.texts if tag not in ("style", "script"))


def assert_harmless(shown: Page, more: Collection[str] = ()) -> None:
    """Only our own elements and ``more``, no address but the page's own places, no handlers, nothing invisible."""
    assert {tag for tag, _ in shown.tags} <= KNOWN | set(more)
    for _, attributes in shown.tags:
        assert not {"src", "srcset", "style", "action", "ping", "background"} & attributes.keys()
        assert not [name for name in attributes if name.startswith("on")]
        assert (attributes.get("href") or "#").startswith("#")
    assert raw(shown.html) == []
    assert "url(" not in shown.html
    assert "@import" not in shown.html
