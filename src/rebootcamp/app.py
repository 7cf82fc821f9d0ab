"""The application factory: binds and registers, decides nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from flask import Flask
from flask_cors import CORS
from flask_migrate import Migrate
from werkzeug.middleware.proxy_fix import ProxyFix

from rebootcamp import __version__
from rebootcamp import cli as commands
from rebootcamp.config import Settings
from rebootcamp.controllers import BLUEPRINTS
from rebootcamp.controllers.mails import mail_pages
from rebootcamp.controllers.workshops import invitations
from rebootcamp.core import failpoints
from rebootcamp.events import journal, projector, relay, states, tables
from rebootcamp.services import mails
from rebootcamp.services.challenges import goals, teams
from rebootcamp.services.gamification import engine
from rebootcamp.services.workshops import documents, letters, notices, retention
from rebootcamp.storage import mongo
from rebootcamp.storage.reopening import reopen_when_refused
from rebootcamp.storage.revisions import MIGRATIONS
from rebootcamp.storage.sql import READS, db, engine_options, reads_options
from rebootcamp.web import authentication, logs, policies, problems, requests
from rebootcamp.web.converters import IdConverter
from rebootcamp.web.openapi import ProblemApi
from rebootcamp.web.responses import OrjsonProvider

View = TypeVar("View", bound=Callable[..., object])

REQUEST_HEADERS = (
    "Accept-Language",
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "X-Request-Id",
    "traceparent",
)
RESPONSE_HEADERS = ("ETag", "Idempotent-Replayed", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id")


class Application(Flask):
    """Flask without asynchronous views: looking for them costs every decorator of every request."""

    def ensure_sync(self, func: View) -> View:
        """Return the function: it is synchronous."""
        return func


def create_app(settings: Settings | None = None) -> Flask:
    """Return the WSGI application; nothing is connected to before the first request."""
    settings = settings or Settings.from_env()
    app = Application(__name__, static_folder=None)
    options = engine_options(settings)
    app.config.update(
        REBOOTCAMP=settings,
        MAX_CONTENT_LENGTH=settings.max_body_bytes,
        PROPAGATE_EXCEPTIONS=False,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=options,
        SQLALCHEMY_BINDS={READS: {"url": settings.database_url, **reads_options(options)}},
    )
    app.json = OrjsonProvider(app)
    app.url_map.converters["id"] = IdConverter
    logs.configure(settings.log_level, settings.log_format)
    _bind_stores(app, settings)
    _bind_web(app, settings)
    commands.register(app)
    policies.verify_policies(app)
    return app


def _bind_stores(app: Flask, settings: Settings) -> None:
    db.init_app(app)
    with app.app_context():
        reopen_when_refused(db.engines.values())
    Migrate(app, db, directory=str(MIGRATIONS))
    mongo.configure(settings)
    failpoints.arm(settings.failpoints)
    journal.subscribe([engine.Engine, goals.Goals, notices.Notices])
    mails.subscribe(letters.composers(invitations.calendar_file))
    states.subscribe([projector.AWARDS, documents.REGISTRATIONS])
    relay.subscribe([teams.add_contributions])
    tables.subscribe([teams.recount_all])
    retention.configure(settings)


def _bind_web(app: Flask, settings: Settings) -> None:
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    requests.register(app)
    problems.register(app)
    authentication.init_authentication(app, settings)
    if settings.cors_origins:
        # A plain single origin would be sent to everybody and without Vary; an anchored pattern is matched.
        origins = [f"^{re.escape(origin)}$" for origin in settings.cors_origins]
        CORS(app, origins=origins, allow_headers=REQUEST_HEADERS, expose_headers=RESPONSE_HEADERS, max_age=600)
    api = ProblemApi(app, version=__version__)
    for blueprint in BLUEPRINTS:
        api.register_blueprint(blueprint)
    if (pages := mail_pages(settings)) is not None:
        app.register_blueprint(pages)
