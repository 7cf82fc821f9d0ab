"""Running services for the acceptance tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from rebootcamp.cli.dev.servers import Servers, temporary_servers
from rebootcamp.config import Settings
from tests.acceptance.restores import Seen, Shop, open_shop
from tests.acceptance.service import Service, at_once, eventually
from tests.stores import create_pair


@pytest.fixture(scope="session")
def service(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service on a pair of databases of its own, shared by tests that break nothing."""
    service = Service(create_pair(settings, "acceptance"), tmp_path_factory.mktemp("acceptance"))
    try:
        service.start()
        yield service
    finally:
        service.stop()


@dataclass
class Plant:
    """A service with database servers that belong to nobody else and may be killed."""

    service: Service
    servers: Servers

    def restore(self) -> None:
        """Start what does not run."""
        for server in (self.servers.postgres, self.servers.mongo):
            assert server is not None
            if server.process is None or server.process.poll() is not None:
                server.start()
        self.service.start()
        eventually(self.is_settled)

    def is_settled(self) -> bool:
        """Tell whether every worker has found its way back."""
        nonsense = {"refresh_token": "nonsense"}
        answers = at_once([partial(self.service.send, "POST", "/api/auth/refresh", json=nonsense)] * 8)
        return {answer.status_code for answer in answers} == {401} and self.service.ready()["status"] == "ready"


@pytest.fixture(scope="session")
def own_plant(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """The plant, running."""
    with temporary_servers() as servers:
        own = Settings.from_env({**servers.env, "SECRET_KEY": settings.secret_key, "APP_ENV": "test"})
        service = Service(create_pair(own, "outages"), tmp_path_factory.mktemp("outages"))
        try:
            service.start()
            yield Plant(service, servers)
        finally:
            service.stop()


@pytest.fixture
def plant(own_plant: Plant) -> Iterator[Plant]:
    """The plant, whole before and after."""
    own_plant.restore()
    yield own_plant
    own_plant.restore()


@pytest.fixture(scope="module")
def shop(
    request: pytest.FixtureRequest, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """A pair of its own, saved once; tests leave it in whatever state they like, whole."""
    name = request.module.__name__.rpartition("_")[2]
    with open_shop(create_pair(settings, name), tmp_path_factory.mktemp(name)) as opened:
        yield opened


@pytest.fixture
def grown(shop: Shop) -> Seen:
    """What the live pair holds: more than the backup."""
    return shop.grow()
