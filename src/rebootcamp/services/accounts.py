"""Accounts: joining, profiles, and what administrators may change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.days import DayRule
from rebootcamp.core.errors import DomainError, InvalidField, Kind, NotFound, StaleEdit
from rebootcamp.core.languages import Text
from rebootcamp.core.pages import Page, PageRequest, paginate
from rebootcamp.events.accounts import AccountRegistered, DaysChanged
from rebootcamp.events.boards import relist
from rebootcamp.events.journal import lock_line, open_line, record
from rebootcamp.integrations.email_addresses import normalise_email
from rebootcamp.integrations.passwords import hash_password
from rebootcamp.models.sql.accounts import User
from rebootcamp.services import tokens
from rebootcamp.storage.transactions import transaction, translating

ADMIN: Final = "admin"
PROFILE_FIELDS: Final = ("first_name", "last_name", "display_name", "nickname", "locale", "is_listed")
DAY_FIELDS: Final = ("timezone", "day_start_hour")
ORDER: Final = "users"
DIGITS: Final = 19


class EmailTaken(DomainError):
    """An address has one account."""

    kind = Kind.CONFLICT
    code = "email_taken"
    title = Text("E-mail address already used", "Adresse e-mail déjà utilisée")
    detail = Text(
        "This e-mail address already has an account; sign in instead.",
        "Cette adresse e-mail a déjà un compte ; connectez-vous plutôt.",
    )


class LastAdmin(DomainError):
    """Somebody must stay able to administer."""

    kind = Kind.CONFLICT
    code = "last_admin"
    title = Text("Last administrator", "Dernier administrateur")
    detail = Text(
        "This is the last active administrator; name another one first.",
        "C'est le dernier administrateur actif ; nommez-en d'abord un autre.",
    )


@dataclass(frozen=True, kw_only=True)
class NewAccount:
    """Who joins; `display_name` defaults to the first name and an initial."""

    email: str
    password: str
    first_name: str
    last_name: str
    display_name: str | None = None
    locale: str = "en"
    timezone: str = "UTC"
    role: str = "student"


@dataclass(frozen=True)
class AccountFilter:
    """Which accounts to list; `q` is searched in the names and the address."""

    q: str | None = None
    role: str | None = None
    is_active: bool | None = None


@dataclass(frozen=True)
class AccountChanges:
    """What an administrator changes; None leaves it as it is."""

    role: str | None = None
    is_active: bool | None = None


def register(new: NewAccount) -> User:
    """Create the account and the learner's line with its first event; raise `EmailTaken`."""
    user = _entity(new, password_hash=hash_password(new.password))
    with transaction() as session:
        with translating({"uq_users_email": EmailTaken(), "ck_users_email_is_lower_case": _not_an_address()}):
            session.add(user)
        open_line(user.id)
        record(AccountRegistered(learner_id=user.id))
    return user


def get_account(actor: Actor, user_id: int) -> User:
    """Return an account to its owner or an administrator; raise `NotFound` for anybody else."""
    actor.require_self_or("user:read_any", user_id)
    with transaction() as session:
        user = session.get(User, user_id, populate_existing=True)
    if user is None:
        raise NotFound("user")
    return user


def list_accounts(actor: Actor, wanted: AccountFilter, page: PageRequest) -> Page[User]:
    """List accounts by id."""
    actor.require("user:read_any")
    statement = sa.select(User).where(*_conditions(wanted)).order_by(User.id).limit(page.limit + 1)
    if (key := page.key(ORDER, (int,))) is not None:
        statement = statement.where(User.id > key[0])
    with transaction() as session:
        users = session.scalars(statement.execution_options(populate_existing=True)).all()
    return paginate(users, page.limit, ORDER, lambda user: (user.id,))


def edit_profile(actor: Actor, changes: Mapping[str, Any], expected_version: int | None = None) -> User:
    """Change one's own names, language, days, or whether boards list one; raise `StaleEdit`.

    Zone and day start hold from the next local day on: see `core.days`.
    """
    actor.require("profile:edit")
    with transaction() as session:
        if any(name in changes for name in DAY_FIELDS):
            # A learner's line comes first in the lock order.
            lock_line(actor.user_id)
        user = _locked(session, actor.user_id, expected_version)
        was_listed = user.is_listed
        for name in PROFILE_FIELDS:
            if name in changes:
                setattr(user, name, changes[name])
        _change_days(user, changes)
        _touch(session, user)
        if user.is_listed != was_listed:
            session.flush()
            relist(session, user.id)
    return user


def edit_account(actor: Actor, user_id: int, changes: AccountChanges, expected_version: int | None = None) -> User:
    """Change a role or the activation, which ends the account's access tokens; raise `LastAdmin`, `StaleEdit`."""
    actor.require("user:write")
    return _change(user_id, changes, expected_version)


def set_role(email: str, role: str) -> User:
    """Change a role on behalf of the operator of the service; raise `NotFound`, `LastAdmin`."""
    with transaction() as session:
        user_id = session.scalar(sa.select(User.id).where(User.email == address(email)))
        if user_id is None:
            raise NotFound("user")
        return _change(user_id, AccountChanges(role=role), None)


def find_account(name: str) -> int:
    """Return the id of the account that an operator names by id or e-mail address; raise `NotFound`, `InvalidField`."""
    is_named = User.id == int(name) if name.isdecimal() and len(name) < DIGITS else User.email == address(name)
    with transaction() as session:
        user_id = session.scalar(sa.select(User.id).where(is_named))
    if user_id is None:
        raise NotFound("user")
    return user_id


def hold_account(user_id: int) -> User:
    """Lock an account in the running transaction; raise `NotFound`."""
    with transaction() as session:
        return _locked(session, user_id, None)


def hold_leaving_account(user_id: int) -> User:
    """Lock an account that nobody will use any more; raise `NotFound`, `LastAdmin`."""
    with transaction() as session:
        admins = set(session.scalars(_active_admins()))
        user = _locked(session, user_id, None)
        if admins == {user_id}:
            raise LastAdmin
        return user


def address(text: str) -> str:
    """Return the stored spelling of an e-mail address; raise `InvalidField`."""
    try:
        return normalise_email(text)
    except ValueError:
        raise _not_an_address() from None


def _not_an_address() -> InvalidField:
    message = Text("This is not a valid e-mail address.", "Cette adresse e-mail n'est pas valide.")
    return InvalidField("/email", message, "invalid_email")


def _entity(new: NewAccount, password_hash: str) -> User:
    now = clock.now()
    return User(
        email=address(new.email),
        password_hash=password_hash,
        role=new.role,
        first_name=new.first_name,
        last_name=new.last_name,
        display_name=new.display_name or f"{new.first_name} {new.last_name[:1].upper()}.",
        locale=new.locale,
        timezone=new.timezone,
        created_at=now,
        updated_at=now,
    )


def _change_days(user: User, changes: Mapping[str, Any]) -> None:
    rule = DayRule(changes.get("timezone", user.timezone), changes.get("day_start_hour", user.day_start_hour))
    if rule == user.days.rule:
        return
    now = clock.now()
    change = user.days.changed_to(rule, now)
    for name, value in change.days.to_row().items():
        setattr(user, name, value)
    fact = DaysChanged(
        learner_id=user.id,
        timezone=rule.timezone,
        day_start_hour=rule.start_hour,
        holds_from=change.holds_from.isoformat(),
        bridged=[day.isoformat() for day in change.bridged],
    )
    record(fact, occurred_at=now)


def _conditions(wanted: AccountFilter) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.q:
        texts = (User.email, User.first_name, User.last_name, User.display_name)
        conditions.append(sa.or_(*(text.icontains(wanted.q, autoescape=True) for text in texts)))
    if wanted.role is not None:
        conditions.append(User.role == wanted.role)
    if wanted.is_active is not None:
        conditions.append(User.is_active == wanted.is_active)
    return conditions


def _locked(session: Session, user_id: int, expected_version: int | None) -> User:
    # NO KEY UPDATE: an event that refers to the user must not wait for us.
    user = session.get(User, user_id, with_for_update={"key_share": True}, populate_existing=True)
    if user is None:
        raise NotFound("user")
    if expected_version is not None and user.version != expected_version:
        raise StaleEdit
    return user


def _change(user_id: int, changes: AccountChanges, expected_version: int | None) -> User:
    with transaction() as session:
        # All administrators are locked, in one order and before the account itself: two of them cannot demote
        # each other at the same time, nor wait for each other for ever.
        admins = set(session.scalars(_active_admins()))
        user = _locked(session, user_id, expected_version)
        was_active = user.is_active
        if changes.role is not None:
            user.role = changes.role
        if changes.is_active is not None:
            user.is_active = changes.is_active
        stays_admin = user.role == ADMIN and user.is_active
        if admins == {user_id} and not stays_admin:
            raise LastAdmin
        if _touch(session, user):
            user.token_version += 1
        if was_active and not user.is_active:
            tokens.revoke_all(user_id)
        if was_active != user.is_active:
            session.flush()
            relist(session, user_id)
    return user


def _active_admins() -> sa.Select[int]:
    statement = sa.select(User.id).where(User.role == ADMIN, User.is_active).order_by(User.id)
    return statement.with_for_update(key_share=True)


def _touch(session: Session, user: User) -> bool:
    is_changed = session.is_modified(user)
    if is_changed:
        user.updated_at = clock.now()
    return is_changed
