"""Seats on the wire: registering, offers, attendance and feedback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from rebootcamp.core.clock import iso
from rebootcamp.core.workshops import REGISTRATION_STATUSES
from rebootcamp.schemas.base import INT64_MAX, Integer, RequestSchema, Text

MAX_WORDS = 2000
MAX_ANSWERS = 50
MAX_MARKED = 200


class Answers(fields.Dict):
    """Answers by the key of their question; what is wrong with one is told at its own pointer."""

    _answer = Text(validate=validate.Length(max=MAX_WORDS))

    def __init__(self, **options: Any) -> None:
        super().__init__(keys=fields.String(), values=self._answer, validate=validate.Length(0, MAX_ANSWERS), **options)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> dict[Any, Any]:
        if not isinstance(value, Mapping):
            raise self.make_error("invalid")
        given: dict[Any, Any] = {}
        wrong: dict[str, Any] = {}
        for key, answer in value.items():
            try:
                given[key] = self._answer.deserialize(answer)
            except ma.ValidationError as error:
                wrong[key] = error.messages
        if wrong:
            raise ma.ValidationError(wrong)
        return given


class RegistrationIn(RequestSchema):
    """What a learner says when registering; which answers are asked for is in the workshop's `questions`."""

    answers = Answers(load_default=dict)
    note = Text(load_default=None, allow_none=True, validate=validate.Length(max=MAX_WORDS))


class AttendanceIn(RequestSchema):
    """Who took part."""

    user_ids = fields.List(
        Integer(required=True, validate=validate.Range(1, INT64_MAX)),
        required=True,
        validate=validate.Length(1, MAX_MARKED),
    )


class FeedbackIn(RequestSchema):
    """A participant's opinion."""

    rating = Integer(required=True, validate=validate.Range(1, 5))
    text = Text(load_default=None, allow_none=True, validate=validate.Length(max=MAX_WORDS))


class RegistrationOut(ma.Schema):
    """One's registration after a command."""

    workshop_id = fields.Integer(required=True)
    user_id = fields.Integer(required=True)
    status = fields.String(required=True, validate=validate.OneOf(REGISTRATION_STATUSES))
    position = fields.Integer(
        required=True, allow_none=True, metadata={"description": "In the queue, from 1; null for who has a seat."}
    )
    registered_at = fields.DateTime(required=True)
    offered_until = fields.DateTime(
        required=True, allow_none=True, metadata={"description": "Until when a free seat is kept for the learner."}
    )


class AttendanceOut(ma.Schema):
    """Whose attendance was recorded now; that of the others was before."""

    user_ids = fields.List(fields.Integer(), required=True)


class FeedbackOut(ma.Schema):
    """An opinion as it was kept."""

    workshop_id = fields.Integer(required=True)
    user_id = fields.Integer(required=True)
    rating = fields.Integer(required=True)
    text = fields.String(required=True, allow_none=True)
    rated_at = fields.DateTime(required=True)


def render_registration(registration: Any) -> dict[str, Any]:
    """Return `RegistrationOut` of a `services.workshops.Registration`."""
    return {
        "workshop_id": registration.workshop_id,
        "user_id": registration.user_id,
        "status": registration.status,
        "position": registration.position,
        "registered_at": iso(registration.registered_at),
        "offered_until": registration.offered_until and iso(registration.offered_until),
    }


def render_feedback(feedback: Any) -> dict[str, Any]:
    """Return `FeedbackOut` of a `services.workshops.Feedback`."""
    return {**vars(feedback), "rated_at": iso(feedback.rated_at)}
