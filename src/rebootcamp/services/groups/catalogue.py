"""Groups themselves: reading, and editing by those who run them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from slugify import slugify
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import Forbidden, NotFound, StaleEdit
from rebootcamp.core.groups import new_code
from rebootcamp.core.pages import Page, PageRequest, paginate
from rebootcamp.models.sql.accounts import SHOWN_NAME, User
from rebootcamp.models.sql.groups import Group, GroupMembership
from rebootcamp.services.groups.errors import GroupArchived, GroupSlugTaken
from rebootcamp.storage.transactions import savepoint, transaction, translating

ORDER: Final = "groups"


@dataclass(frozen=True)
class GroupView:
    """A group as one caller sees it; `joined_at` is None for who is no member."""

    group: Group
    owner_name: str
    joined_at: datetime | None
    is_editable: bool


@dataclass(frozen=True)
class GroupFilter:
    """Which groups to list; `is_mine` leaves out those that the caller neither owns nor belongs to."""

    kind: str | None = None
    q: str | None = None
    is_mine: bool = False


def list_groups(actor: Actor, wanted: GroupFilter, page: PageRequest) -> Page[GroupView]:
    """List the groups that are not archived, by id: one's own, and for staff all."""
    statement = _views(actor).where(Group.archived_at.is_(None), *_conditions(wanted))
    if wanted.is_mine or not actor.can("group:read_any"):
        statement = statement.where(_is_own(actor))
    key = page.key(ORDER, (int,))
    if key is not None:
        statement = statement.where(Group.id > key[0])
    with transaction() as session:
        rows = session.execute(statement.order_by(Group.id).limit(page.limit + 1)).all()
    views = [_view(actor, *row) for row in rows]
    return paginate(views, page.limit, ORDER, lambda view: (view.group.id,))


def get_group(actor: Actor, group_id: int) -> GroupView:
    """Return a group to its owner, its members and staff; raise `NotFound` for anybody else."""
    statement = _views(actor).where(Group.id == group_id)
    if not actor.can("group:read_any"):
        statement = statement.where(_is_own(actor))
    with transaction() as session:
        row = session.execute(statement.execution_options(populate_existing=True)).one_or_none()
    if row is None:
        raise NotFound("group")
    return _view(actor, *row)


def create_group(actor: Actor, fields: Mapping[str, Any]) -> Group:
    """Make a group of which the caller is the owner. Raises `GroupSlugTaken`.

    Many classes have the same name: a slug that was not given is made different from all others.
    """
    actor.require("group:write")
    now = clock.now()
    values = {**fields, "owner_id": actor.user_id, "join_code": new_code(), "created_at": now, "updated_at": now}
    with transaction() as session:
        if fields.get("slug"):
            return _inserted(session, values)
        slug = slugify(fields["name"], max_length=80) or fields["kind"]
        try:
            with savepoint():
                return _inserted(session, {**values, "slug": slug})
        except GroupSlugTaken:
            return _inserted(session, {**values, "slug": f"{slug}-{new_code().lower()}"})


def update_group(actor: Actor, group_id: int, changes: Mapping[str, Any], version: int | None) -> Group:
    """Change some fields. Raises `NotFound`, `Forbidden`, `StaleEdit`, `GroupArchived`, `GroupSlugTaken`."""
    with transaction() as session, translating({"uq_groups_slug": GroupSlugTaken()}):
        group = locked_for_edit(session, actor, group_id)
        _verify_version(group, version)
        refuse_archived(group)
        for name, value in changes.items():
            setattr(group, name, value)
        group.updated_at = clock.now()
    return group


def archive_group(actor: Actor, group_id: int, version: int | None) -> None:
    """Close a group for good; who was when a member stays known. Archiving twice changes nothing.

    Raises `NotFound`, `Forbidden`, `StaleEdit`.
    """
    with transaction() as session:
        group = locked_for_edit(session, actor, group_id)
        _verify_version(group, version)
        if group.archived_at is None:
            group.archived_at = group.updated_at = clock.now()


def rotate_code(actor: Actor, group_id: int) -> Group:
    """Give the group another code; the old one ends at once. Raises `NotFound`, `Forbidden`, `GroupArchived`."""
    with transaction() as session:
        group = locked_for_edit(session, actor, group_id)
        refuse_archived(group)
        group.join_code = new_code()
        group.updated_at = clock.now()
    return group


def locked_for_edit(session: Session, actor: Actor, group_id: int) -> Group:
    """Lock a group that the caller may edit: instructors their own, administrators all."""
    actor.require("group:write")
    group = locked(session, Group.id == group_id)
    if group is None:
        raise NotFound("group")
    if not _may_edit(actor, group):
        raise Forbidden
    return group


def locked(session: Session, condition: sa.ColumnElement[bool]) -> Group | None:
    """Lock a group; the lock comes before all that concerns its memberships."""
    # NO KEY UPDATE: a row that refers to the group must not wait for us.
    statement = sa.select(Group).where(condition).with_for_update(key_share=True)
    return session.scalars(statement.execution_options(populate_existing=True)).one_or_none()


def refuse_archived(group: Group) -> None:
    """Raise `GroupArchived` for a group that no longer changes."""
    if group.archived_at is not None:
        raise GroupArchived


def _views(actor: Actor) -> sa.Select[Group, str, datetime]:
    mine = sa.and_(
        GroupMembership.group_id == Group.id,
        GroupMembership.user_id == actor.user_id,
        GroupMembership.left_at.is_(None),
    )
    statement = sa.select(Group, SHOWN_NAME, GroupMembership.joined_at)
    return statement.join(User, User.id == Group.owner_id).outerjoin(GroupMembership, mine)


def _view(actor: Actor, group: Group, owner_name: str, joined_at: datetime | None) -> GroupView:
    return GroupView(group, owner_name, joined_at, is_editable=_may_edit(actor, group))


def _may_edit(actor: Actor, group: Group) -> bool:
    return actor.can("group:write_any") or (actor.can("group:write") and group.owner_id == actor.user_id)


def _is_own(actor: Actor) -> sa.ColumnElement[bool]:
    return sa.or_(GroupMembership.id.is_not(None), Group.owner_id == actor.user_id)


def _conditions(wanted: GroupFilter) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.kind is not None:
        conditions.append(Group.kind == wanted.kind)
    if wanted.q:
        conditions.append(Group.name.icontains(wanted.q, autoescape=True))
    return conditions


def _inserted(session: Session, values: Mapping[str, Any]) -> Group:
    group = Group(**values)
    with translating({"uq_groups_slug": GroupSlugTaken()}):
        session.add(group)
    return group


def _verify_version(group: Group, version: int | None) -> None:
    if version is not None and version != group.version:
        raise StaleEdit
