"""Groups on the wire."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from rebootcamp.core.clock import iso
from rebootcamp.core.groups import KINDS, MAX_MEMBERS, spaced_code
from rebootcamp.schemas.accounts import is_readable
from rebootcamp.schemas.base import (
    INT64_MAX,
    Boolean,
    Integer,
    PageArguments,
    RequestSchema,
    String,
    Text,
    page_of,
)
from rebootcamp.schemas.challenges import SLUG
from rebootcamp.schemas.progress import LearnerOut

NAME = [validate.Length(1, 120), is_readable]
DESCRIPTION = validate.Length(1, 2000)
USER_ID = Integer(required=True, validate=validate.Range(1, INT64_MAX))


class GroupCreate(RequestSchema):
    """A new group; its owner is who makes it."""

    name = String(required=True, validate=NAME, metadata={"example": "Seconde 4, 2026–2027"})
    slug = String(
        load_default="",
        validate=validate.And(validate.Length(1, 80), SLUG),
        metadata={"description": "By default made of the name, and different from all others."},
    )
    description = Text(load_default=None, allow_none=True, validate=DESCRIPTION)
    kind = String(load_default="class", validate=validate.OneOf(KINDS))
    is_open = Boolean(load_default=True, metadata={"description": "Whether one may join with the code."})


class GroupPatch(RequestSchema):
    """Changes to a group; what is left out stays."""

    name = String(validate=NAME)
    slug = String(validate=validate.And(validate.Length(1, 80), SLUG))
    description = Text(allow_none=True, validate=DESCRIPTION)
    kind = String(validate=validate.OneOf(KINDS))
    is_open = Boolean()


class GroupArguments(PageArguments):
    """Which groups to list."""

    kind = String(load_default=None, validate=validate.OneOf(KINDS))
    q = String(load_default=None, validate=validate.Length(1, 100), metadata={"description": "Part of the name."})
    mine = Boolean(
        load_default=False, metadata={"description": "For staff: only those that I own or belong to, not all."}
    )


class MemberArguments(PageArguments):
    """Paging of the members."""


class JoinCode(RequestSchema):
    """The code of a group, as one was given it: case, spaces and hyphens do not matter."""

    code = String(required=True, validate=validate.Length(1, 40), metadata={"example": "7KQ4M-2XPA9"})


class MembersChange(RequestSchema):
    """Whom to add or to remove."""

    user_ids = fields.List(USER_ID, required=True, validate=validate.Length(1, MAX_MEMBERS))


class GroupOut(ma.Schema):
    """A group. Its name is plain text: people call a class by one name."""

    id = fields.Integer(required=True)
    slug = fields.String(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True, allow_none=True)
    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    is_open = fields.Boolean(required=True, metadata={"description": "Whether one may join with the code."})
    owner = fields.Nested(LearnerOut, required=True)
    members = fields.Integer(
        required=True, validate=validate.Range(0, MAX_MEMBERS), metadata={"description": "Current members."}
    )
    joined_at = fields.DateTime(
        required=True, allow_none=True, metadata={"description": "When the caller joined; null for no member."}
    )
    created_at = fields.DateTime(required=True)
    archived_at = fields.DateTime(required=True, allow_none=True)
    version = fields.Integer(required=True)
    join_code = fields.String(metadata={"description": "For those who may edit the group."})


class OwnGroupOut(GroupOut):
    """A group as those who may edit it see it: with the code."""

    join_code = fields.String(required=True, metadata={"example": "7KQ4M-2XPA9"})


GroupPage = page_of(GroupOut)


class MemberOut(ma.Schema):
    """A current member."""

    user = fields.Nested(LearnerOut, required=True)
    joined_at = fields.DateTime(required=True)


MemberPage = page_of(MemberOut)


class MembersChanged(ma.Schema):
    """Whose membership began or ended; the others were, or were not, members already."""

    user_ids = fields.List(fields.Integer(), required=True)
    members = fields.Integer(required=True, metadata={"description": "Current members, now."})


def render_group(view: Any) -> dict[str, Any]:
    """Return `GroupOut`, or `OwnGroupOut`, of a `services.groups.GroupView`."""
    group = view.group
    rendered = {
        "id": group.id,
        "slug": group.slug,
        "name": group.name,
        "description": group.description,
        "kind": group.kind,
        "is_open": group.is_open,
        "owner": {"id": group.owner_id, "display_name": view.owner_name},
        "members": group.members,
        "joined_at": view.joined_at and iso(view.joined_at),
        "created_at": iso(group.created_at),
        "archived_at": group.archived_at and iso(group.archived_at),
        "version": group.version,
    }
    if view.is_editable:
        rendered["join_code"] = spaced_code(group.join_code)
    return rendered


def render_member(member: Any) -> dict[str, Any]:
    """Return `MemberOut` of a `services.groups.Member`."""
    return {
        "user": {"id": member.user_id, "display_name": member.display_name},
        "joined_at": iso(member.joined_at),
    }
