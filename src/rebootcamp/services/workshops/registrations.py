"""Registrations, joined: PostgreSQL's rows decide, MongoDB's documents tell; one statement and one find a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from rebootcamp.core.actors import Actor, Caller
from rebootcamp.core.errors import NotFound
from rebootcamp.core.pages import Page, PageRequest, paginate
from rebootcamp.events.facts import fact_types
from rebootcamp.events.store import fetch_stretches, readable, recorded_from_json, waiting_events
from rebootcamp.models.mongo.workshops import RegistrationDocument
from rebootcamp.models.sql.accounts import CALLER_COLUMNS
from rebootcamp.services.workshops.documents import DOMAIN, REGISTRATIONS
from rebootcamp.storage.documents import by_id
from rebootcamp.storage.mongo import Doc, MongoUnavailable, reading
from rebootcamp.storage.sql import Row
from rebootcamp.storage.statements import fetch_one

ORDER, OWN_ORDER = "registrations", "own_registrations"
READ_ANY: Final = "registration:read_any"

_ROW: Final = """r.id, r.workshop_id, r.user_id, r.status, r.offered_until, r.registered_at, r.seated_at, r.ended_at,
    r.attended_on, r.rating, r.first_seq, r.last_seq"""
_PERSON: Final = "l.display_name, l.email, l.erased_at IS NOT NULL AS is_erased"
_WAITING: Final = waiting_events(
    "r.user_id", "r.first_seq", "r.last_seq", "jsonb_build_object('registration_id', r.id)"
)
_AHEAD: Final = """(SELECT count(*) FROM workshop_registrations q
    WHERE q.workshop_id = {workshop_id} AND q.status = 'waitlisted' AND q.id <= {id})"""

# Whoever waits on a page stands in the queue behind those before the page, in the order of the page.
_PAGE: Final = f"""
    SELECT {CALLER_COLUMNS}, w.id, w.slug, w.translations, w.trainer_id, w.starts_at, w.ends_at, w.timezone, w.place,
        w.capacity, w.taken, w.waiting, w.status, coalesce(t.nickname, t.display_name) AS trainer_name, c.*, p.rows
    FROM users u CROSS JOIN app_meta m
    LEFT JOIN workshops w ON w.id = %(workshop_id)s AND w.archived_at IS NULL
    LEFT JOIN users t ON t.id = w.trainer_id
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE r.status = 'registered') AS count_registered,
            count(*) FILTER (WHERE r.status = 'waitlisted') AS count_waitlisted,
            count(*) FILTER (WHERE r.status = 'cancelled') AS count_cancelled,
            count(*) FILTER (WHERE r.status = 'attended') AS count_attended,
            count(r.offered_until) AS count_offered
        FROM workshop_registrations r WHERE r.workshop_id = w.id) c
    CROSS JOIN LATERAL (
        SELECT coalesce(jsonb_agg(to_jsonb(o) ORDER BY o.id), '[]') AS rows FROM (
            SELECT r.*, {_PERSON}, {_WAITING} AS pending, CASE WHEN r.status = 'waitlisted'
                THEN {_AHEAD.format(workshop_id="w.id", id="%(after)s::bigint")}
                    + count(*) FILTER (WHERE r.status = 'waitlisted') OVER (ORDER BY r.id) END AS position
            FROM (
                SELECT {_ROW} FROM workshop_registrations r
                WHERE r.workshop_id = w.id AND r.id > %(after)s::bigint
                    AND (%(status)s::text IS NULL OR r.status = %(status)s::text)
                ORDER BY r.id LIMIT %(limit)s) r
            JOIN users l ON l.id = r.user_id) o) p
    WHERE u.id = %(caller_id)s"""  # noqa: S608

_OWN: Final = f"""
    SELECT {CALLER_COLUMNS}, l.id AS user_id, p.rows
    FROM users u CROSS JOIN app_meta m LEFT JOIN users l ON l.id = %(user_id)s
    CROSS JOIN LATERAL (
        SELECT coalesce(jsonb_agg(to_jsonb(o) ORDER BY o.id DESC), '[]') AS rows FROM (
            SELECT {_ROW}, {_PERSON}, {_WAITING} AS pending, w.slug, w.translations, w.starts_at, w.ends_at,
                w.timezone, w.place, w.status AS workshop_status, CASE WHEN r.status = 'waitlisted'
                    THEN {_AHEAD.format(workshop_id="r.workshop_id", id="r.id")} END AS position
            FROM workshop_registrations r JOIN workshops w ON w.id = r.workshop_id
            WHERE r.user_id = l.id AND (%(before)s::bigint IS NULL OR r.id < %(before)s::bigint)
                AND (%(status)s::text IS NULL OR r.status = %(status)s::text)
            ORDER BY r.id DESC LIMIT %(limit)s) o) p
    WHERE u.id = %(caller_id)s"""  # noqa: S608


@dataclass(frozen=True)
class RegistrationPage:
    """Some registrations: rows with `position` and what documents tell; degraded when the journal stood in for them."""

    page: Page[Row]
    is_degraded: bool


@dataclass(frozen=True)
class WorkshopRegistrations(RegistrationPage):
    """Those of one workshop, whose `row` has the counts; addresses are for who has to write to people."""

    row: Row
    has_addresses: bool


def list_registrations(
    caller: Caller, workshop_id: int, page: PageRequest, *, status: str | None = None
) -> WorkshopRegistrations:
    """List the registrations of a workshop in the order of the queue; raise `NotFound`, `Forbidden`."""
    key = page.key(ORDER, (int,))
    parameters = {"caller_id": caller.user_id, "workshop_id": workshop_id, "status": status}
    row = fetch_one(_PAGE, {**parameters, "after": key[0] if key else 0, "limit": page.limit + 1})
    actor = caller.confirmed(row)
    actor.require(READ_ANY)
    if row is None or row["id"] is None or not may_know(actor, row):
        raise NotFound("workshop")
    found = _joined(row, page.limit, ORDER)
    has_addresses = actor.user_id == row["trainer_id"] or actor.can("workshop:write_any")
    return WorkshopRegistrations(found.page, found.is_degraded, row, has_addresses)


def list_own_registrations(
    caller: Caller, user_id: int, page: PageRequest, *, status: str | None = None
) -> RegistrationPage:
    """List a learner's registrations over all workshops, newest first; raise `NotFound`."""
    key = page.key(OWN_ORDER, (int,))
    parameters = {"caller_id": caller.user_id, "user_id": user_id, "status": status}
    row = fetch_one(_OWN, {**parameters, "before": key[0] if key else None, "limit": page.limit + 1})
    caller.confirmed(row).require_self_or(READ_ANY, user_id)
    if row is None or row["user_id"] is None:
        raise NotFound("user")
    return _joined(row, page.limit, OWN_ORDER)


def may_know(actor: Actor, row: Row) -> bool:
    """Tell whether staff may know of a workshop: of another's draft only administrators may."""
    is_own = actor.user_id == row["trainer_id"] or actor.can("workshop:write_any")
    return row["status"] != "draft" or is_own


def _joined(row: Row, limit: int, order: str) -> RegistrationPage:
    page = paginate(row["rows"], limit, order, lambda item: (item["id"],))
    documents, is_degraded = _documents(page.items)
    items = [{**item, **documents[item["id"]]} for item in page.items]
    return RegistrationPage(Page(items, page.next_cursor), is_degraded)


def _documents(rows: Sequence[Row]) -> tuple[dict[int, Doc], bool]:
    """Return what is told of each row, and whether MongoDB was away.

    PostgreSQL was asked first: what was no longer pending there is already in MongoDB when that is asked.
    """
    stored, is_degraded = dict[int, Doc](), False
    try:
        with reading():
            stored = by_id(RegistrationDocument.find_many([row["id"] for row in rows]))
    except MongoUnavailable:
        is_degraded = True
    told = {row["id"]: _caught_up(row, stored.get(row["id"])) for row in rows}
    lacking = [row for row in rows if told[row["id"]] is None]
    retold = _from_journal(lacking) if lacking else {}
    return {row["id"]: _words_and_steps(row, told[row["id"]] or retold.get(row["id"], {})) for row in rows}, is_degraded


def _caught_up(row: Row, document: Doc | None) -> Doc | None:
    """Return the document with what is still on its way; None unless that is the whole story."""
    if not row["pending"]:
        # Nearly always: nothing is on its way.
        return document if document and document["seq"] == row["last_seq"] else None
    pending = list(readable(row["pending"], recorded_from_json))
    seq = document["seq"] if document else row["first_seq"] - 1
    # A dead letter lies behind what the document shows.
    if pending and (pending[0].seq <= seq or (document is None and pending[0].seq > row["first_seq"])):
        return None
    fields = dict(document or {})
    for newer in REGISTRATIONS.changes(pending).values():
        RegistrationDocument.merge(fields, newer)
    return fields if fields.get("seq") == row["last_seq"] else None


def _from_journal(rows: Sequence[Row]) -> dict[Any, Doc]:
    stretches = [(row["user_id"], row["first_seq"], row["last_seq"]) for row in rows]
    types = [name for name in fact_types() if name.startswith(DOMAIN)]
    return REGISTRATIONS.changes(fetch_stretches(stretches, types))


def _words_and_steps(row: Row, fields: Doc) -> Doc:
    words = {name: fields.get(name) for name in ("note", "feedback", "answers")}
    # The account is erased before MongoDB has heard of it.
    said = dict.fromkeys(words) if row["is_erased"] else words
    return {**said, "answers": said["answers"] or {}, "steps": fields.get("steps", {})}
