"""Keyset paging: every row once, and no cursor but our own."""

from __future__ import annotations

import base64

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebootcamp.core.errors import InvalidField
from rebootcamp.core.pages import PageRequest, paginate


def rows_after(rows: list[tuple[str, int]], request: PageRequest) -> list[tuple[str, int]]:
    key = request.key("names", (str, int))
    return [row for row in rows if key is None or row > key][: request.limit + 1]


@given(
    st.sets(
        st.tuples(
            st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=3), st.integers(-(2**63), 2**63 - 1)
        )
    ),
    st.integers(1, 5),
)
def test_following_the_cursors_gives_every_row_once(rows: set[tuple[str, int]], limit: int) -> None:
    ordered, seen, cursor = sorted(rows), list[tuple[str, int]](), None
    while True:
        page = paginate(rows_after(ordered, PageRequest(limit, cursor)), limit, "names", lambda row: row)
        seen += page.items
        assert len(page.items) <= limit
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert seen == ordered


def test_page_that_ends_exactly_at_the_last_row_promises_no_other() -> None:
    assert paginate([1, 2], 2, "n", lambda n: (n,)).next_cursor is None
    assert paginate([1, 2, 3], 2, "n", lambda n: (n,)).next_cursor is not None


def forged(value: object) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "%%%",
        "é",
        "\ud800",
        "AAAA",
        forged({"names": 1}),
        forged(["names"]),
        forged(["names", "a"]),
        forged(["names", "a", 1, 2]),
        forged(["badges", "a", 1]),
        forged(["names", 1, 1]),
        forged(["names", "a", "1"]),
        forged(["names", "a", True]),
        forged(["names", "a", None]),
        forged(["names", "a", 1.5]),
        forged(["names", "a\0", 1]),
        forged(["names", "a", 2**63]),
        forged(["names", ["a"], 1]),
        base64.urlsafe_b64encode(b"[" * 5000).decode(),
    ],
)
def test_foreign_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidField) as refused:
        PageRequest(20, cursor).key("names", (str, int))
    assert (refused.value.pointer, refused.value.field_code) == ("/cursor", "invalid_cursor")


@given(st.text(max_size=60))
def test_any_text_as_cursor_is_a_key_or_refused(cursor: str) -> None:
    try:
        PageRequest(20, cursor).key("names", (int,))
    except InvalidField:
        return
    raise AssertionError(cursor)
