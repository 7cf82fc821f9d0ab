"""`flask admin`: name administrators from the machine that runs the service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import click
from flask.cli import AppGroup
from marshmallow import ValidationError

from rebootcamp.cli.failures import one_line
from rebootcamp.core.errors import DomainError, InvalidField, Kind
from rebootcamp.core.permissions import ROLES, canonical_role
from rebootcamp.schemas.accounts import AccountCreate
from rebootcamp.services import accounts

admin = AppGroup("admin", help="Name administrators.")


@admin.command("create")
@click.argument("email")
@click.option("--first-name", default="Admin", show_default=True)
@click.option("--last-name", default="RebootCamp", show_default=True)
@click.option("--password-file", type=click.File("r"), help="Read the password from a file; `-` is standard input.")
def create(email: str, first_name: str, last_name: str, password_file: TextIO | None) -> None:
    """Create an administrator; asks for the password unless a file gives it."""
    given = {"email": email, "first_name": first_name, "last_name": last_name, "password": _password(password_file)}
    with one_line(), _explained():
        user = accounts.register(accounts.NewAccount(**AccountCreate().load(given), role=accounts.ADMIN))
    click.echo(f"{user.email} is administrator, account {user.id}")


@admin.command("set-role")
@click.argument("email")
@click.argument("role")
def set_role(email: str, role: str) -> None:
    """Give an existing account a role, named in English or French."""
    known = canonical_role(role)
    if known is None:
        raise click.BadParameter(f"must be one of {', '.join(ROLES)}", param_hint="ROLE")
    with one_line(), _explained():
        user = accounts.set_role(email, known)
    click.echo(f"{user.email} is {user.role}, account {user.id}")


def _password(file: TextIO | None) -> str:
    if file is not None:
        return file.readline().rstrip("\r\n")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        reasons = (f"{name}: {' '.join(messages)}" for name, messages in dict(error.messages_dict).items())
        raise click.ClickException("; ".join(reasons)) from error
    except InvalidField as error:
        raise click.ClickException(error.message.en) from error
    except DomainError as error:
        if error.kind is Kind.UNAVAILABLE:
            raise
        raise click.ClickException(error.detail_in("en")) from error
