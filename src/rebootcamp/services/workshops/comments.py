"""Comments on workshops: the text is native in MongoDB, PostgreSQL says which version of it counts."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import (
    DomainError,
    Forbidden,
    InvalidField,
    Kind,
    NotFound,
    RateLimited,
    StaleEdit,
    Unauthenticated,
)
from rebootcamp.core.failpoints import failpoint
from rebootcamp.core.languages import Text
from rebootcamp.core.pages import Page, PageRequest, paginate
from rebootcamp.core.workshops import COMMENT_STATES, MAX_COMMENT, MAX_COMMENT_MARKUP
from rebootcamp.events.natives import join_pair
from rebootcamp.integrations.markup import ALLOW_LIST, sanitise, seen
from rebootcamp.models.mongo.workshops import CommentDocument
from rebootcamp.models.sql.workshops import WorkshopComment
from rebootcamp.services.accounts import hold_account
from rebootcamp.storage import mongo
from rebootcamp.storage.mongo import Doc
from rebootcamp.storage.sql import Row
from rebootcamp.storage.statements import fetch_all, fetch_one
from rebootcamp.storage.transactions import transaction

VISIBLE, HIDDEN, DELETED = COMMENT_STATES
COMMENTS, VERSIONS = "comments", "comment-versions"
LIMIT: Final = 10
WINDOW: Final = timedelta(minutes=10)
SECONDS: Final = int(WINDOW.total_seconds())
# Long enough for a slip, too short to turn a talk round; and each version is kept.
EDITABLE_FOR: Final = timedelta(hours=24)
MAX_VERSIONS: Final = 20

# One row even where there is no comment: who may read is told by the same statement.
_PAGE: Final = """
    SELECT w.id AS workshop_id, w.trainer_id, w.status, EXISTS (
            SELECT 1 FROM workshop_registrations r
            WHERE r.workshop_id = w.id AND r.user_id = %(reader)s AND r.status <> 'cancelled') AS takes_part, c.*
    FROM workshops w LEFT JOIN LATERAL (
        SELECT c.id, c.user_id, c.version, c.state, c.created_at, c.edited_at, c.moderation_reason,
            coalesce(u.nickname, u.display_name) AS display_name
        FROM workshop_comments c JOIN users u ON u.id = c.user_id
        WHERE c.workshop_id = w.id AND c.state <> 'deleted' AND c.id > %(after)s
        ORDER BY c.id LIMIT %(limit)s) c ON true
    WHERE w.id = %(workshop_id)s AND w.archived_at IS NULL
    ORDER BY c.id"""
# Since when a budget is spent: deleting what one wrote gives none of it back.
_SPENT: Final = f"""
    SELECT created_at FROM workshop_comments WHERE user_id = %(user_id)s AND created_at > %(begin)s
    ORDER BY created_at DESC OFFSET {LIMIT - 1} LIMIT 1"""  # noqa: S608
_NEXT_ID: Final = sa.text("SELECT nextval(pg_get_serial_sequence('workshop_comments', 'id'))")


class ParticipantsOnly(DomainError):
    """What is said about a workshop stays among those who take part in it."""

    kind = Kind.FORBIDDEN
    code = "participants_only"
    title = Text("For participants", "Réservé aux participants")
    detail = Text(
        "Comments are for the participants of the workshop, its trainer and staff; register first.",
        "Les commentaires sont réservés aux participants de l'atelier, à son formateur et à l'équipe ; "
        "inscrivez-vous d'abord.",
    )


class TooManyComments(RateLimited):
    """A talk is no flood."""

    code = "too_many_comments"
    title = Text("Too many comments", "Trop de commentaires")
    detail = Text(
        "{limit} comments within {minutes} minutes; write the next one in {retry_after} seconds.",
        "{limit} commentaires en {minutes} minutes ; écrivez le suivant dans {retry_after} secondes.",
    )


class CommentNotEditable(DomainError):
    """Too old, edited too often, or hidden."""

    kind = Kind.CONFLICT
    code = "comment_not_editable"
    title = Text("No longer editable", "Plus modifiable")
    detail = Text(
        "A comment can be edited by its author for 24 hours, up to 19 times, and while it is visible; write another.",
        "Un commentaire est modifiable par son auteur pendant 24 heures, 19 fois au plus et tant qu'il est visible ; "
        "écrivez-en un autre.",
    )


@dataclass(frozen=True)
class Comment:
    """A comment as one reader sees it: `text` and `reason` are None for those from whom it is hidden."""

    id: int
    workshop_id: int
    user_id: int
    display_name: str
    version: int
    state: str
    created_at: datetime
    edited_at: datetime | None
    reason: str | None
    text: str | None


@dataclass(frozen=True)
class CommentVersion:
    """What a comment said from one instant on."""

    version: int
    text: str
    at: datetime


@dataclass(frozen=True)
class _Reader:
    """Who may take part in the talk about a workshop."""

    actor: Actor
    trainer_id: int

    @property
    def is_moderator(self) -> bool:
        return self.actor.can("workshop:write_any") or self.is_trainer

    @property
    def is_trainer(self) -> bool:
        return self.trainer_id == self.actor.user_id

    def sees_all_of(self, row: Row) -> bool:
        """Tell whether hidden texts and earlier versions of a comment are this reader's to see."""
        is_own = bool(row["user_id"] == self.actor.user_id)
        return is_own or self.is_trainer or self.actor.can("registration:read_any")


def list_comments(actor: Actor, workshop_id: int, page: PageRequest) -> Page[Comment]:
    """List the comments that are not deleted, oldest first.

    Raises `NotFound`, `ParticipantsOnly`, `MongoUnavailable`.
    """
    (after,) = page.key(COMMENTS, (int,)) or (0,)
    reader, rows = _read(actor, workshop_id, int(after), page.limit + 1)
    cut = paginate(rows, page.limit, COMMENTS, lambda row: (row["id"],))
    told = [CommentDocument.identify(row["id"], row["version"]) for row in cut.items if _is_told(reader, row)]
    texts = {document["comment_id"]: document["text"] for document in _documents(told)}
    comments = [_comment(reader, row, texts.get(row["id"])) for row in cut.items]
    return Page(comments, cut.next_cursor)


def list_comment_versions(actor: Actor, workshop_id: int, comment_id: int, page: PageRequest) -> Page[CommentVersion]:
    """List what a comment said, oldest first, to its author, the trainer and staff.

    Raises `NotFound`, `Forbidden`, `MongoUnavailable`.
    """
    (after,) = page.key(VERSIONS, (int,)) or (0,)
    reader, row = _find(actor, workshop_id, comment_id)
    if not reader.sees_all_of(row):
        raise Forbidden
    first, last, limit = int(after), row["version"], page.limit + 1
    found = _followed(
        lambda: CommentDocument.list_versions(comment_id, after=first, last=last, limit=limit),
        lambda found: len(found) == min(max(last - first, 0), limit),
    )
    versions = [CommentVersion(document["version"], document["text"], document["at"]) for document in found]
    return paginate(versions, page.limit, VERSIONS, lambda version: (version.version,))


def get_comment_version(actor: Actor, workshop_id: int, comment_id: int) -> int:
    """Return the number of the version that counts. Raises `NotFound`, `ParticipantsOnly`."""
    return int(_find(actor, workshop_id, comment_id)[1]["version"])


def add_comment(actor: Actor, workshop_id: int, text: str) -> Comment:
    """Say something about a workshop.

    Raises `NotFound`, `ParticipantsOnly`, `InvalidField`, `TooManyComments`, `Busy`, `Unpaired`, `MongoUnavailable`.
    """
    clean, now = _sanitised(text), clock.now()
    with transaction() as session:
        _read(actor, workshop_id, 0, 0)
        join_pair(session)
        name = _take_turn(actor, now)
        comment_id = int(session.scalar(_NEXT_ID) or 0)
        row = WorkshopComment(id=comment_id, workshop_id=workshop_id, user_id=actor.user_id, version=1, state=VISIBLE)
        row.created_at = now
        _write(session, row, clean, now)
    return Comment(comment_id, workshop_id, actor.user_id, name, 1, VISIBLE, now, None, None, clean)


def edit_comment(actor: Actor, workshop_id: int, comment_id: int, text: str, version: int | None) -> Comment:
    """Say it otherwise: the author, within `EDITABLE_FOR`. Of two edits at once one wins, the other is stale.

    Raises `NotFound`, `Forbidden`, `CommentNotEditable`, `StaleEdit`, and what `add_comment` does, but for its pace.
    """
    clean, now = _sanitised(text), clock.now()
    with transaction() as session:
        reader, seen_row = _find(actor, workshop_id, comment_id)
        if seen_row["user_id"] != actor.user_id:
            raise Forbidden
        join_pair(session)
        row = _locked(session, comment_id, version or seen_row["version"])
        if row.state != VISIBLE or row.version >= MAX_VERSIONS or now >= row.created_at + EDITABLE_FOR:
            raise CommentNotEditable
        row.version, row.edited_at = row.version + 1, now
        _write(session, row, clean, now)
        changed = {**seen_row, "version": row.version, "state": row.state, "edited_at": now}
    return _comment(reader, changed, clean)


def delete_comment(actor: Actor, workshop_id: int, comment_id: int) -> None:
    """Take one's own comment back, whoever one has become to the workshop; a job removes its texts.

    Raises `NotFound`, `ParticipantsOnly`, `Forbidden`.
    """
    is_own = WorkshopComment.workshop_id == workshop_id, WorkshopComment.user_id == actor.user_id
    with transaction() as session:
        if _change(session, comment_id, is_own, {"state": DELETED}) is None:
            _find(actor, workshop_id, comment_id)
            raise Forbidden


def hide_comment(actor: Actor, workshop_id: int, comment_id: int, reason: str) -> Comment:
    """Hide a comment from all but its author, the trainer and staff; needs no MongoDB, and returns no text.

    Raises `NotFound`, `ParticipantsOnly`, `Forbidden`.
    """
    return _moderate(actor, workshop_id, comment_id, HIDDEN, reason)


def show_comment(actor: Actor, workshop_id: int, comment_id: int) -> Comment:
    """Show a comment again; raises and returns as `hide_comment`."""
    return _moderate(actor, workshop_id, comment_id, VISIBLE, None)


def _moderate(actor: Actor, workshop_id: int, comment_id: int, state: str, reason: str | None) -> Comment:
    with transaction() as session:
        reader, row = _find(actor, workshop_id, comment_id)
        if not reader.is_moderator:
            raise Forbidden
        values = {"state": state, "moderated_by": actor.user_id, "moderation_reason": reason}
        if _change(session, comment_id, (), values) is None:
            raise NotFound("comment")
    return _comment(reader, {**row, **values}, None)


def _read(actor: Actor, workshop_id: int, after: int, limit: int) -> tuple[_Reader, Sequence[Row]]:
    """Return who reads, and some comments behind an id; raise `NotFound`, `ParticipantsOnly`."""
    rows = fetch_all(_PAGE, {"workshop_id": workshop_id, "reader": actor.user_id, "after": after, "limit": limit})
    if not rows:
        raise NotFound("workshop")
    reader = _Reader(actor, rows[0]["trainer_id"])
    if rows[0]["status"] == "draft" and not reader.is_moderator:
        raise NotFound("workshop")
    if not rows[0]["takes_part"] and not reader.is_trainer and not actor.can("registration:read_any"):
        raise ParticipantsOnly
    return reader, [row for row in rows if row["id"] is not None]


def _find(actor: Actor, workshop_id: int, comment_id: int) -> tuple[_Reader, Row]:
    reader, rows = _read(actor, workshop_id, comment_id - 1, 1)
    if not rows or rows[0]["id"] != comment_id:
        raise NotFound("comment")
    return reader, rows[0]


def _is_told(reader: _Reader, row: Row) -> bool:
    return row["state"] == VISIBLE or reader.sees_all_of(row)


def _comment(reader: _Reader, row: Row, text: str | None) -> Comment:
    reason = row["moderation_reason"] if reader.sees_all_of(row) else None
    names = ("id", "workshop_id", "user_id", "display_name", "version", "state", "created_at", "edited_at")
    return Comment(**{name: row[name] for name in names}, reason=reason, text=text)


def _documents(ids: Sequence[str]) -> list[Doc]:
    if not ids:
        return []
    return _followed(lambda: CommentDocument.find_many(ids), lambda found: len(found) == len(ids))


def _followed(find: Callable[[], list[Doc]], is_whole: Callable[[list[Doc]], bool]) -> list[Doc]:
    """Read texts; once more where some are missing, for a switch may have come since the rows were read."""
    with mongo.reading():
        found = find()
    if is_whole(found):
        return found
    mongo.forget()
    with mongo.reading():
        return find()


def _sanitised(text: str) -> str:
    """Return the text as it is stored; raise `InvalidField` when too little or too much is left of it."""
    clean = sanitise(text)
    shown = seen(clean)
    if not any(sign.isprintable() and not sign.isspace() for sign in shown):
        message = Text("Nothing is left that could be shown.", "Il ne reste rien qui puisse être affiché.")
        raise InvalidField("/text", message, "unreadable")
    if len(shown) > MAX_COMMENT or len(clean) > MAX_COMMENT_MARKUP:
        message = Text(
            f"At most {MAX_COMMENT} characters, {MAX_COMMENT_MARKUP} with the markup.",
            f"{MAX_COMMENT} caractères au plus, {MAX_COMMENT_MARKUP} avec les balises.",
        )
        raise InvalidField("/text", message, "too_long")
    return clean


def _take_turn(actor: Actor, now: datetime) -> str:
    """Keep others of the same account waiting, so that all are counted; return the name under which it writes."""
    user = hold_account(actor.user_id)
    if not user.is_active:
        # Erased or suspended since the token was judged.
        raise Unauthenticated
    spent = fetch_one(_SPENT, {"user_id": actor.user_id, "begin": now - WINDOW})
    if spent is not None:
        left = math.ceil((spent["created_at"] + WINDOW - now).total_seconds())
        raise TooManyComments(COMMENTS, LIMIT, SECONDS, max(left, 1))
    return user.nickname or user.display_name


def _locked(session: Session, comment_id: int, version: int) -> WorkshopComment:
    is_same = WorkshopComment.id == comment_id, WorkshopComment.version == version, WorkshopComment.state != DELETED
    statement = sa.select(WorkshopComment).where(*is_same).with_for_update(key_share=True)
    row = session.scalars(statement.execution_options(populate_existing=True)).one_or_none()
    if row is None:
        raise StaleEdit
    return row


def _write(session: Session, row: WorkshopComment, text: str, at: datetime) -> None:
    """Write the document, then the row that counts it; a kill in between leaves a document for a job to remove."""
    digest = hashlib.sha256(text.encode())
    document: Doc = {
        "_id": CommentDocument.identify(row.id, row.version),
        "comment_id": row.id,
        "version": row.version,
        "workshop_id": row.workshop_id,
        "user_id": row.user_id,
        "text": text,
        "hash": digest.hexdigest(),
        "allow_list": ALLOW_LIST,
        "at": at,
    }
    with mongo.guarded():
        CommentDocument.put(document)
    failpoint("comment.written")
    row.text_hash = digest.digest()
    session.add(row)
    session.flush()


def _change(session: Session, comment_id: int, conditions: Sequence[Any], values: dict[str, Any]) -> int | None:
    """Change a comment that is not deleted and fulfils the conditions; return its id, or None."""
    is_there = WorkshopComment.id == comment_id, WorkshopComment.state != DELETED, *conditions
    statement = sa.update(WorkshopComment).where(*is_there).values(values)
    result = session.execute(statement, execution_options={"synchronize_session": False})
    return comment_id if cast(CursorResult[Any], result).rowcount else None
