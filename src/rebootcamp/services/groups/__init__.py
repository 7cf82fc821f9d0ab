"""Groups: classes and teams, and who belongs to them."""

from rebootcamp.services.groups.catalogue import (
    GroupFilter,
    GroupView,
    archive_group,
    create_group,
    get_group,
    list_groups,
    rotate_code,
    update_group,
)
from rebootcamp.services.groups.membership import (
    Member,
    add_members,
    join_group,
    leave_group,
    list_group_ids,
    list_member_ids,
    list_members,
    remove_members,
)

__all__ = [
    "GroupFilter",
    "GroupView",
    "Member",
    "add_members",
    "archive_group",
    "create_group",
    "get_group",
    "join_group",
    "leave_group",
    "list_group_ids",
    "list_groups",
    "list_member_ids",
    "list_members",
    "remove_members",
    "rotate_code",
    "update_group",
]
