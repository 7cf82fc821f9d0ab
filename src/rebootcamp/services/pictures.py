"""Pictures of a learner: who may see them, and the links that share them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import DomainError, InvalidField, Kind, NotFound
from rebootcamp.core.languages import Text
from rebootcamp.core.pages import Page, PageRequest, paginate
from rebootcamp.core.pictures import PICTURES, SHAREABLE
from rebootcamp.models.sql.accounts import User
from rebootcamp.models.sql.pictures import ShareLink
from rebootcamp.services.progress import VERSION
from rebootcamp.storage.batches import delete_in_batches
from rebootcamp.storage.sql import Row
from rebootcamp.storage.statements import fetch_one
from rebootcamp.storage.transactions import transaction

ORDER: Final = "share_links"
KEY_BYTES: Final = 32
MAX_LIVE_LINKS: Final = 10

# The learner stands in for a caller: a shared picture shows what its owner may see, while the account is active.
_SHARED: Final = f"""{VERSION} AND c.is_active AND EXISTS (
    SELECT 1 FROM share_links l WHERE l.key_hash = %(key_hash)s AND l.user_id = c.id
        AND %(picture)s::text = ANY (l.pictures) AND (l.expires_at IS NULL OR l.expires_at > %(now)s))"""  # noqa: S608


class TooManyShareLinks(DomainError):
    """What is shared must stay easy to survey."""

    kind = Kind.CONFLICT
    code = "too_many_share_links"
    title = Text("Too many share links", "Trop de liens de partage")
    detail = Text(
        "You already have {limit} live share links; revoke one first.",
        "Vous avez déjà {limit} liens de partage actifs ; révoquez-en un d'abord.",
    )


@dataclass(frozen=True)
class NewShareLink:
    """What to share, for how long, and a word to remember it by."""

    label: str | None = None
    pictures: Sequence[str] = PICTURES
    expires_at: datetime | None = None


@dataclass(frozen=True)
class SharedLink:
    """A link with its key, which nobody can read again."""

    link: ShareLink
    key: str


def get_shared_version(user_id: int, picture: str, key: str) -> Row:
    """Return the learner's progress version to whoever holds a live key of what is `SHAREABLE`; raise `NotFound`."""
    parameters = {"caller_id": user_id, "user_id": user_id, "now": clock.now()}
    row = fetch_one(_SHARED, {**parameters, "picture": picture, "key_hash": _digest(key)})
    if row is None or row["last_seq"] is None:
        raise NotFound("share link")
    return row


def create_share_link(actor: Actor, new: NewShareLink) -> SharedLink:
    """Share pictures of one's own progress. Raises `TooManyShareLinks`, `InvalidField`."""
    actor.require("profile:edit")
    now = clock.now()
    if new.expires_at is not None and new.expires_at <= now:
        raise InvalidField("/expires_at", Text("Must lie in the future.", "Doit être dans l'avenir."), "in_the_past")
    key = secrets.token_urlsafe(KEY_BYTES)
    link = ShareLink(
        user_id=actor.user_id,
        label=new.label,
        pictures=[name for name in SHAREABLE if name in new.pictures],
        key_hash=_digest(key),
        created_at=now,
        expires_at=new.expires_at,
    )
    own = ShareLink.user_id == actor.user_id
    with transaction() as session:
        # One at a time for each learner: two parallel requests must not both find room for the last link.
        session.execute(sa.select(User.id).where(User.id == actor.user_id).with_for_update(key_share=True))
        session.execute(sa.delete(ShareLink).where(own, ShareLink.expires_at <= now))
        if (session.scalar(sa.select(sa.func.count()).where(own)) or 0) >= MAX_LIVE_LINKS:
            raise TooManyShareLinks(limit=MAX_LIVE_LINKS)
        session.add(link)
        # Inside another block, the commit that would make the id comes after the answer.
        session.flush()
    return SharedLink(link, key)


def list_share_links(actor: Actor, page: PageRequest) -> Page[ShareLink]:
    """List one's own live links, newest first."""
    is_live = ShareLink.expires_at.is_(None) | (ShareLink.expires_at > clock.now())
    statement = sa.select(ShareLink).where(ShareLink.user_id == actor.user_id, is_live)
    statement = statement.order_by(ShareLink.id.desc()).limit(page.limit + 1)
    if (key := page.key(ORDER, (int,))) is not None:
        statement = statement.where(ShareLink.id < key[0])
    with transaction() as session:
        links = session.scalars(statement).all()
    return paginate(links, page.limit, ORDER, lambda link: (link.id,))


def revoke_share_link(actor: Actor, link_id: int) -> None:
    """Make the key of one's own link worthless at once; raise `NotFound`."""
    actor.require("profile:edit")
    statement = sa.delete(ShareLink).where(ShareLink.id == link_id, ShareLink.user_id == actor.user_id)
    with transaction() as session:
        if session.scalar(statement.returning(ShareLink.id)) is None:
            raise NotFound("share link")


def forget_ended_links(before: datetime, on_progress: Callable[[int], None]) -> int:
    """Drop the links of all learners that ended before an instant; return how many there were."""
    return delete_in_batches(ShareLink, ShareLink.expires_at < before, on_progress)


def _digest(key: str) -> bytes:
    """Return what is stored of a key: 256 random bits need no salt, and no index gives them back."""
    return hashlib.sha256(key.encode()).digest()
