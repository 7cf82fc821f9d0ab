"""`flask admin` and `flask accounts`: what the operator does to accounts from the machine that runs the service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import click
from flask import current_app
from flask.cli import AppGroup
from marshmallow import ValidationError

from rebootcamp.cli.failures import one_line
from rebootcamp.core.errors import DomainError, InvalidField, Kind
from rebootcamp.core.permissions import ROLES, canonical_role
from rebootcamp.schemas.accounts import AccountCreate
from rebootcamp.services import accounts
from rebootcamp.services.erasures import erase_account, replay_erasures

admin = AppGroup("admin", help="Name administrators.")
# Under another name than the module of the services.
accounts_group = AppGroup("accounts", help="Erase accounts.")


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


@accounts_group.command("erase")
@click.argument("who", metavar="ID|EMAIL")
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(who: str, yes: bool) -> None:
    """Make an account anonymous for ever, in both stores and after every restore; safe to repeat."""
    log = current_app.config["REBOOTCAMP"].erasure_log
    with one_line(), _explained():
        user_id = accounts.find_account(who)
        if not yes:
            click.confirm(f"Erase account {user_id}? Nothing brings it back.", abort=True)
        is_new = erase_account(user_id, log)
    click.echo(f"account {user_id} {'is erased' if is_new else 'was erased before'}; noted in {log}")


@accounts_group.command("erase-again")
def erase_again() -> None:
    """Erase whoever the log of erasures names and an older database brought back; restores do so by themselves."""
    log = current_app.config["REBOOTCAMP"].erasure_log
    with one_line(), _explained():
        click.echo(f"{replay_erasures(log)} accounts erased again; noted in {log}")


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
