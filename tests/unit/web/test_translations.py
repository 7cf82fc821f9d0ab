"""No field message leaves in English for a French reader."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import marshmallow as ma
import pytest
from marshmallow import fields, validate

from rebootcamp import schemas
from rebootcamp.schemas.base import Message
from rebootcamp.web.translations import bilingual

SAMPLES = {"min": 1, "max": 9, "equal": 3, "choices": "a, b", "other": "x", "values": "a", "obj_type": "date"}
# Raised while dumping, or by fields that nothing here uses.
OUTGOING = {"format", "invalid_awareness", "special", "unknown"}


def declared_schemas() -> Iterator[type[ma.Schema]]:
    """Yield every schema class of the project."""
    for module in pkgutil.walk_packages(schemas.__path__, "rebootcamp.schemas."):
        importlib.import_module(module.name)
    pending = list(ma.Schema.__subclasses__())
    while pending:
        schema = pending.pop()
        pending.extend(schema.__subclasses__())
        if schema.__module__.startswith("rebootcamp."):
            yield schema


def inner_fields(field: fields.Field) -> Iterator[fields.Field]:
    """Yield the field and those inside it."""
    yield field
    if isinstance(field, fields.List):
        yield from inner_fields(field.inner)
    if isinstance(field, fields.Dict) and field.value_field is not None:
        yield from inner_fields(field.value_field)


def validator_messages(field: fields.Field) -> Iterator[str]:
    """Yield what the validators of a field may say."""
    for validator in field.validators:
        if isinstance(validator, validate.Length):
            templates = (
                [validator.error]
                if validator.error
                else [validator.message_min, validator.message_max, validator.message_all, validator.message_equal]
            )
        elif isinstance(validator, validate.Range):
            templates = (
                [validator.error]
                if validator.error
                else [validator.message_min, validator.message_max, validator.message_all]
            )
        elif isinstance(validator, (validate.OneOf, validate.Regexp, validate.Email, validate.URL, validate.Equal)):
            templates = [validator.error]
        else:
            continue
        yield from (template.format(**SAMPLES) for template in templates)


def messages() -> Iterator[tuple[str, str]]:
    """Yield (place, message) for all fields of all schemas."""
    for schema in declared_schemas():
        for name, declared in schema._declared_fields.items():
            for field in inner_fields(declared):
                place = f"{schema.__name__}.{name}"
                for key, message in field.error_messages.items():
                    if key not in OUTGOING or not isinstance(message, str):
                        yield place, message.format(**SAMPLES)
                for message in validator_messages(field):
                    yield place, message


def test_every_message_of_our_fields_has_french() -> None:
    untold = sorted({(place, message) for place, message in messages() if bilingual(message) is None})
    assert untold == []


def test_every_stock_field_and_schema_message_has_french() -> None:
    stock = [
        message.format(**SAMPLES | {"input": "x", "obj_type": kind, "awareness": awareness})
        for field in vars(fields).values()
        if isinstance(field, type) and issubclass(field, fields.Field)
        for kind, awareness in [(getattr(field, "OBJ_TYPE", "date"), getattr(field, "AWARENESS", ""))]
        for key, message in getattr(field, "default_error_messages", {}).items()
        if key != "format" and (awareness or key != "invalid_awareness")
    ]
    stock += ma.Schema._default_error_messages.values()
    assert [message for message in stock if bilingual(message) is None] == []


@pytest.mark.parametrize(
    "validator",
    [
        validate.Length(min=3),
        validate.Length(max=1),
        validate.Length(min=3, max=4),
        validate.Length(equal=3),
        validate.OneOf(["a", "b"]),
        validate.Regexp("z"),
        validate.Email(),
        validate.URL(),
        validate.Equal("z"),
    ],
    ids=repr,
)
def test_what_text_validators_say_has_french(validator: validate.Validator) -> None:
    with pytest.raises(ma.ValidationError) as caught:
        validator("xx")
    assert bilingual(caught.value.messages[0]) is not None


@pytest.mark.parametrize("low", [True, False])
@pytest.mark.parametrize("high", [True, False])
def test_what_ranges_say_has_french(low: bool, high: bool) -> None:
    ranges = [
        validate.Range(5, 6, min_inclusive=low, max_inclusive=high),
        validate.Range(min=5, min_inclusive=low),
        validate.Range(max=1, max_inclusive=high),
    ]
    for validator in ranges:
        with pytest.raises(ma.ValidationError) as caught:
            validator(3)
        assert bilingual(caught.value.messages[0]) is not None


def test_a_message_stays_bilingual_when_formatted() -> None:
    told = Message("At most {max}.", "Au plus {max}.", "too_many").format(max=3)
    assert (told, told.fr, told.code) == ("At most 3.", "Au plus 3.", "too_many")


def test_an_unknown_message_has_none() -> None:
    assert bilingual("Nobody says this.") is None
