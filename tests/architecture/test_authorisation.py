"""Every route lets in exactly whom the tables of `authorisation/` declare, and nobody else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from rebootcamp.app import create_app
from rebootcamp.config import Settings
from rebootcamp.storage import mongo
from rebootcamp.storage.sql import db
from tests.architecture.authorisation.calls import ask, outcome
from tests.architecture.authorisation.matrix import CALLERS, route_of
from tests.architecture.authorisation.pages import pages
from tests.architecture.authorisation.parts import all_calls, all_rows, whole_world
from tests.architecture.authorisation.world import World
from tests.architecture.test_routes import routes
from tests.conftest import Client
from tests.controllers.wire import Wire
from tests.stores import create_pair

ROWS, CALLS = all_rows(), all_calls()


@pytest.fixture(scope="module")
def world(application: Flask, settings: Settings) -> Iterator[World]:
    """One world for all rows, on a pair of its own: it takes longer to make than to ask."""
    own = create_app(create_pair(settings, "authorisation"))
    own.test_client_class = Client
    with own.app_context():
        yield whole_world(Wire(own))
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()
    mongo.configure(application.config["REBOOTCAMP"])


def test_every_route_has_a_row_and_every_row_a_route(application: Flask) -> None:
    found = {f"{method} {path}" for method, path, _ in routes(application)}
    assert found - {route_of(label) for label in ROWS} == set(), "routes without a row in the tables"
    assert {label for label in ROWS if route_of(label) not in found} == set(), "rows without a route"
    assert CALLS.keys() - ROWS.keys() == set(), "requests without a row"


@pytest.mark.parametrize("label", ROWS)
def test_a_route_lets_in_exactly_whom_its_row_names(world: World, label: str) -> None:
    answers = {caller: ask(world, CALLS, label, caller) for caller in CALLERS}
    told = {caller: f"{answer.status_code} {answer.text[:200]}" for caller, answer in answers.items()}
    assert {caller: outcome(answer) for caller, answer in answers.items()} == ROWS[label], told


def test_the_pages_show_the_matrix_as_it_is() -> None:
    """Written again by `python -m tests.architecture.authorisation`."""
    for path, text in pages(ROWS).items():
        assert path.read_text(encoding="utf-8") == text, path.name
