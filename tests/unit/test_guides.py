"""The guide to migration, which `make drill` carries out, says the same in both languages."""

from __future__ import annotations

from tests.drill.document import ENGLISH, FRENCH, read_steps, require_same_steps


def test_both_guides_have_the_same_commands() -> None:
    steps = require_same_steps()
    assert [(step.place, step.action) for step in steps].count(("old", "run")) == 3
    assert all(step.text for step in steps if step.action in ("run", "env", "sql"))


def test_every_marked_block_is_found() -> None:
    for document in (FRENCH, ENGLISH):
        assert len(read_steps(document)) == document.read_text(encoding="utf-8").count("<!-- drill:")
