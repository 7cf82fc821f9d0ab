"""Accounts on the wire."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from zoneinfo import available_timezones

import marshmallow as ma
from marshmallow import fields, validate

from rebootcamp.core.days import LATEST_START_HOUR
from rebootcamp.core.languages import LANGUAGES
from rebootcamp.core.permissions import ROLES, canonical_role
from rebootcamp.integrations.email_addresses import normalise_email
from rebootcamp.schemas.base import (
    Boolean,
    Instant,
    Integer,
    Message,
    PageArguments,
    RequestSchema,
    String,
    page_of,
    refuse,
)

MAX_EMAIL, MAX_NAME = 254, 80
PASSWORD_LENGTH = validate.Length(12, 128)
# They reorder what surrounds them, so that one name could be shown as another.
_BIDI_CONTROLS = re.compile("[\u202a-\u202e\u2066-\u2069]")


class EmailAddress(String):
    """An e-mail address, loaded in its stored spelling."""

    default_error_messages = {
        "not_an_address": Message(
            "Not a valid email address.", "Ce n'est pas une adresse e-mail valide.", "invalid_email"
        )
    }

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        try:
            if len(text) <= MAX_EMAIL:
                return normalise_email(text)
        except ValueError:
            pass
        raise self.make_error("not_an_address")


class Role(String):
    """A role in either language, loaded as its English value."""

    default_error_messages = {
        "unknown_role": Message(
            f"Must be one of: {', '.join(ROLES)}.", f"Valeurs possibles : {', '.join(ROLES)}.", "not_a_choice"
        )
    }

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        role = canonical_role(super()._deserialize(value, attr, data, **kwargs))
        if role is None:
            raise self.make_error("unknown_role")
        return role


def is_readable(text: str) -> None:
    """Refuse a name that shows nothing, or that reorders what stands beside it."""
    is_blank = text and not any(sign.isprintable() and not sign.isspace() for sign in text)
    if is_blank or _BIDI_CONTROLS.search(text):
        raise refuse("This text cannot be shown.", "Ce texte ne peut pas être affiché.", "unreadable")


def is_timezone(text: str) -> None:
    """Refuse what is not an IANA time zone."""
    if text not in _timezones():
        raise refuse(
            "Not an IANA time zone, such as Europe/Paris.",
            "Ce n'est pas un fuseau horaire IANA, par exemple Europe/Paris.",
            "unknown_timezone",
        )


@lru_cache(maxsize=1)
def _timezones() -> frozenset[str]:
    # The machine's own zone is no zone for people, and `Factory` says that none was chosen.
    return frozenset(available_timezones() - {"localtime", "Factory"})


NAME = [validate.Length(1, MAX_NAME), is_readable]
TIMEZONE = {"description": "IANA name.", "example": "Europe/Paris"}


class AccountCreate(RequestSchema):
    """Joining."""

    email = EmailAddress(required=True, metadata={"format": "email", "example": "ada@example.org"})
    password = String(required=True, load_only=True, trim=False, validate=PASSWORD_LENGTH)
    first_name = String(required=True, validate=NAME, metadata={"example": "Ada"})
    last_name = String(required=True, validate=NAME, metadata={"example": "Lovelace"})
    display_name = String(validate=NAME, metadata={"description": "Shown to others; by default `Ada L.`"})
    locale = String(validate=validate.OneOf(LANGUAGES))
    timezone = String(validate=is_timezone, metadata=TIMEZONE)


class Credentials(RequestSchema):
    """Signing in. Nothing here tells a possible address or password from an impossible one."""

    email = String(required=True, validate=validate.Length(1, MAX_EMAIL), metadata={"format": "email"})
    password = String(required=True, load_only=True, trim=False, validate=validate.Length(1, 128))


class RefreshTokenBody(RequestSchema):
    """A refresh token to spend or to revoke."""

    refresh_token = String(required=True, load_only=True, validate=validate.Length(1, 200))


class ProfilePatch(RequestSchema):
    """What people change about themselves."""

    first_name = String(validate=NAME)
    last_name = String(validate=NAME)
    display_name = String(validate=NAME)
    nickname = String(
        allow_none=True, validate=NAME, metadata={"description": "Shown on leaderboards instead of the display name."}
    )
    locale = String(validate=validate.OneOf(LANGUAGES))
    timezone = String(validate=is_timezone, metadata=TIMEZONE)
    day_start_hour = Integer(
        validate=validate.Range(0, LATEST_START_HOUR),
        metadata={"description": "The hour at which a day begins; it and the zone count from the next local day on."},
    )
    is_listed = Boolean(metadata={"description": "Whether leaderboards show me; unlisted, I take no rank."})


class AccountPatch(RequestSchema):
    """What an administrator changes."""

    role = Role(metadata={"description": "In English or French.", "example": "instructor"})
    is_active = Boolean()


class AccountArguments(PageArguments):
    """Which accounts to list."""

    q = String(validate=validate.Length(1, 100), metadata={"description": "Part of a name or of the e-mail address."})
    role = Role()
    is_active = Boolean()


class UserOut(ma.Schema):
    """An account as its owner and administrators see it."""

    id = fields.Integer(required=True)
    email = fields.String(required=True)
    first_name = fields.String(required=True)
    last_name = fields.String(required=True)
    display_name = fields.String(required=True)
    nickname = fields.String(required=True, allow_none=True)
    role = fields.String(required=True, validate=validate.OneOf(ROLES))
    locale = fields.String(required=True, validate=validate.OneOf(LANGUAGES))
    timezone = fields.String(required=True)
    day_start_hour = fields.Integer(required=True)
    days_change_at = Instant(
        attribute="held_until",
        required=True,
        allow_none=True,
        metadata={"description": "When zone and day start began or will begin to count; null: they always have."},
    )
    is_active = fields.Boolean(required=True)
    is_listed = fields.Boolean(required=True)
    email_verified = fields.Boolean(required=True)
    created_at = Instant(required=True)


class TokensOut(ma.Schema):
    """What a device keeps after signing in."""

    access_token = fields.String(required=True)
    refresh_token = fields.String(required=True)
    token_type = fields.Constant("Bearer", required=True)
    expires_in = fields.Integer(required=True, metadata={"description": "Seconds until the access token expires."})
    user = fields.Nested(UserOut, required=True)


UserPage = page_of(UserOut)
