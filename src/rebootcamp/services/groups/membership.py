"""Who belongs to a group: joining and leaving, adding and removing, the list of members."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import InvalidField
from rebootcamp.core.groups import canonical_code
from rebootcamp.core.languages import Text
from rebootcamp.core.pages import Page, PageRequest, paginate
from rebootcamp.models.sql.accounts import SHOWN_NAME, User
from rebootcamp.models.sql.groups import Group, GroupMembership
from rebootcamp.services.groups.catalogue import get_group, locked, locked_for_edit, refuse_archived
from rebootcamp.services.groups.errors import AlreadyMember, GroupClosed, GroupFull, NotMember, UnknownJoinCode
from rebootcamp.storage.transactions import transaction, translating

ORDER: Final = "members"


@dataclass(frozen=True)
class Member:
    """A current member."""

    user_id: int
    display_name: str
    joined_at: datetime


def list_members(actor: Actor, group_id: int, page: PageRequest) -> Page[Member]:
    """List the current members by name, to those who may see the group. Raises `NotFound`."""
    get_group(actor, group_id)
    statement = (
        sa.select(User.id, SHOWN_NAME, GroupMembership.joined_at)
        .join(User, User.id == GroupMembership.user_id)
        .where(GroupMembership.group_id == group_id, GroupMembership.left_at.is_(None))
    )
    key = page.key(ORDER, (str, int))
    if key is not None:
        statement = statement.where(sa.tuple_(SHOWN_NAME, User.id) > sa.tuple_(*key))
    with transaction() as session:
        rows = session.execute(statement.order_by(SHOWN_NAME, User.id).limit(page.limit + 1)).all()
    return paginate(
        [Member(*row) for row in rows], page.limit, ORDER, lambda member: (member.display_name, member.user_id)
    )


def list_member_ids(group_id: int) -> list[int]:
    """Return who belongs to a group now; at most `MAX_MEMBERS`."""
    is_in = GroupMembership.group_id == group_id, GroupMembership.left_at.is_(None)
    with transaction() as session:
        return list(session.scalars(sa.select(GroupMembership.user_id).where(*is_in).order_by(GroupMembership.user_id)))


def list_group_ids(user_id: int) -> list[int]:
    """Return the groups that somebody belongs to now."""
    is_in = GroupMembership.user_id == user_id, GroupMembership.left_at.is_(None)
    with transaction() as session:
        return list(session.scalars(sa.select(GroupMembership.group_id).where(*is_in)))


def add_members(actor: Actor, group_id: int, user_ids: Collection[int]) -> list[int]:
    """Add learners, open group or not; return those who were no members yet.

    Raises `NotFound`, `Forbidden`, `GroupArchived`, `GroupFull`, `InvalidField`; then nobody is added.
    """
    with transaction() as session:
        group = locked_for_edit(session, actor, group_id)
        refuse_archived(group)
        _verify_users(session, user_ids)
        return _enter(session, group, user_ids)


def remove_members(actor: Actor, group_id: int, user_ids: Collection[int]) -> list[int]:
    """End memberships; return whose. Raises `NotFound`, `Forbidden`."""
    with transaction() as session:
        return _exit(session, locked_for_edit(session, actor, group_id), user_ids)


def join_group(actor: Actor, code: str) -> int:
    """Join the group that has the code; return its id.

    Raises `UnknownJoinCode`, `GroupClosed`, `AlreadyMember`, `GroupFull`.
    """
    actor.require("group:join")
    with transaction() as session:
        group = locked(session, sa.and_(Group.join_code == canonical_code(code), Group.archived_at.is_(None)))
        if group is None:
            raise UnknownJoinCode
        if not group.is_open:
            raise GroupClosed
        if not _enter(session, group, [actor.user_id]):
            raise AlreadyMember
        return group.id


def leave_group(actor: Actor, group_id: int) -> None:
    """Leave a group, archived or not. Raises `NotFound`, `NotMember`."""
    get_group(actor, group_id)
    with transaction() as session:
        group = locked(session, Group.id == group_id)
        if group is None or not _exit(session, group, [actor.user_id]):
            raise NotMember


def _enter(session: Session, group: Group, user_ids: Collection[int]) -> list[int]:
    now = clock.now()
    rows = [{"group_id": group.id, "user_id": user_id, "joined_at": now} for user_id in sorted(set(user_ids))]
    statement = (
        insert(GroupMembership)
        .values(rows)
        .on_conflict_do_nothing(index_elements=["group_id", "user_id"], index_where=GroupMembership.left_at.is_(None))
        .returning(GroupMembership.user_id)
    )
    entered = session.scalars(statement).all()
    with translating({"ck_groups_has_room": GroupFull()}):
        _count(session, group, len(entered))
    return sorted(entered)


def _exit(session: Session, group: Group, user_ids: Collection[int]) -> list[int]:
    statement = (
        sa.update(GroupMembership)
        .where(
            GroupMembership.group_id == group.id,
            GroupMembership.user_id.in_(user_ids),
            GroupMembership.left_at.is_(None),
        )
        # Another machine's clock may have been ahead of ours.
        .values(left_at=sa.func.greatest(clock.now(), GroupMembership.joined_at))
        .returning(GroupMembership.user_id)
        .execution_options(synchronize_session=False)
    )
    left = session.scalars(statement).all()
    _count(session, group, -len(left))
    return sorted(left)


def _count(session: Session, group: Group, change: int) -> None:
    # Not through the entity: who comes and goes makes nobody's edit stale.
    statement = sa.update(Group).where(Group.id == group.id).values(members=Group.members + change)
    session.execute(statement, execution_options={"synchronize_session": False})


def _verify_users(session: Session, user_ids: Collection[int]) -> None:
    statement = sa.select(User.id).where(User.id.in_(user_ids), User.is_active)
    unknown = _first_missing(user_ids, set(session.scalars(statement)))
    if unknown is not None:
        message = Text("There is no active account with this id.", "Aucun compte actif ne porte cet identifiant.")
        raise InvalidField(f"/user_ids/{unknown}", message, "unknown_user")


def _first_missing(user_ids: Collection[int], known: set[int]) -> int | None:
    return next((index for index, user_id in enumerate(user_ids) if user_id not in known), None)
