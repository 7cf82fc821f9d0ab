"""Where backups, restores, rebuilds and erasures meet: none takes from another what that one keeps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from uuid import UUID

import pytest

from rebootcamp.config import Settings
from rebootcamp.core import clock
from rebootcamp.events.rebuild import rebuild
from rebootcamp.integrations.erasure_log import Erasure, append_erasure
from rebootcamp.services.backups import find_backup
from rebootcamp.services.backups.loading import Source, open_source
from rebootcamp.services.backups.pairs import Place
from rebootcamp.services.backups.restoring import begin
from rebootcamp.storage import mongo
from rebootcamp.storage.databases import connect, databases
from rebootcamp.storage.locks import DDL
from tests.acceptance.restores import Done, Shop, open_shop
from tests.relay.tools import until
from tests.stores import create_pair

KILLED = -signal.SIGKILL


@pytest.fixture
def shop(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A pair of its own, saved once."""
    with open_shop(create_pair(settings, "seams"), tmp_path_factory.mktemp("seams")) as opened:
        yield opened
        for found in opened.stores.all():
            opened.stores.drop(found.name, opened.stores.seen(found.name).mongo_database)


def test_rebuilds_and_restores_drop_only_what_they_put_aside(shop: Shop) -> None:
    # Killed between its switch and its last note: what is live then bears the mark of a rebuild.
    assert shop.run("rebuild", failpoints="rebuild.switched").status == KILLED
    rebuilt = shop.grow()
    restored = shop.run("restore", "--force")
    assert restored.status == 0, restored.output
    old = restored.told["old"]
    assert shop.run("rebuild").status == 0
    assert shop.run("rebuild", "--drop-old").status == 0
    assert shop.stores.seen(old) == rebuilt
    shop.check()
    assert shop.run("restore", "--drop-old").told["dropped"] == [old]
    assert rebuilt.mongo_database not in shop.stores.mongo_names()
    shop.check()
    # What a rebuild has made can be saved and brought back.
    saved = shop.run("backup").told
    assert (saved["ok"], saved["findings"]) == (True, 0)
    assert shop.run("restore", "--force").status == 0
    shop.check()


def test_what_a_rebuild_made_while_a_restore_filled_is_put_aside_as_a_whole(shop: Shop) -> None:
    settings = replace(shop.settings, backup_dir=shop.place / "backups")
    url = shop.stores.url
    mongo.configure(settings)
    with shop.app.app_context(), databases(url) as found:
        job = begin(Place(found, url, settings.mongodb_database), _source(settings), None, is_forced=True)
        assert job is not None
        job.fill(lambda step: None)
        job.prove()
        job.adopt()
        rebuilt = rebuild(lambda step, done: None).database
        Shop._let_go()
        old = job.switch()
        assert old is not None
        mark = shop.stores.find(old).mark
        assert mark is not None
        assert mark.mongo_database == shop.stores.seen(old).mongo_database == rebuilt
    assert shop.run("restore", "--drop-old").told["dropped"] == [old]
    assert rebuilt not in shop.stores.mongo_names()


def _source(settings: Settings) -> Source:
    return open_source(find_backup(settings.backup_dir), settings)


def test_who_is_erased_during_a_restore_stays_erased(shop: Shop) -> None:
    (email, *_) = (email for email in shop.saved.emails if "erased" not in email)
    done: list[Done] = []
    restoring = threading.Thread(target=lambda: done.append(shop.run("restore", "--force")))
    with closing(connect(shop.stores.url, shop.stores.name)) as connection, connection.cursor() as cursor:
        # As a backup does: the restored pair is ready, and waits for it.
        cursor.execute("SELECT pg_advisory_lock_shared(%s)", (DDL,))
        restoring.start()
        waits = f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {DDL} AND NOT granted"
        until(lambda: shop.stores.sql(waits) == [(1,)], seconds=60)
        shop.erase(email)
    restoring.join()
    assert (done[0].status, done[0].told["erased"]) == (0, 1), done[0].output
    assert email not in shop.stores.seen().emails
    shop.run("relay", "--once")
    shop.check()


def test_who_was_erased_since_a_restore_can_be_erased_on_the_way_back(shop: Shop) -> None:
    (email, *_) = (email for email in shop.saved.emails if "erased" not in email)
    old = shop.run("restore", "--force").told["old"]
    shop.erase(email)
    shop.stores.rename(shop.stores.name, f"{shop.stores.name}_wrong")
    shop.stores.rename(old, shop.stores.name)
    assert email in shop.stores.seen().emails
    assert "1 accounts erased again" in shop.run("accounts", "erase-again").output
    assert email not in shop.stores.seen().emails
    shop.run("relay", "--once")
    shop.check()


def test_who_was_erased_before_a_killed_restore_is_finished_stays_erased(shop: Shop) -> None:
    (email, *_) = (email for email in shop.saved.emails if "erased" not in email)
    assert shop.run("restore", "--force", failpoints="restore.switched").status == KILLED
    (old,) = (name for name in shop.stores.names() if "_old_" in name)
    who = f"SELECT id, created_at, (SELECT store_id::text FROM app_meta) FROM users WHERE email = '{email}'"
    ((user_id, created_at, store_id),) = shop.stores.sql(who, old)
    append_erasure(shop.place / "erasures.jsonl", Erasure(user_id, UUID(store_id), created_at, clock.now()))
    done = shop.run("restore", "--force")
    assert (done.status, done.told["erased"]) == (0, 1), done.output
    assert email not in shop.stores.seen().emails
