"""Settings of gunicorn, the same on a laptop and in the image: `gunicorn -c python:rebootcamp.gunicorn_conf`."""

import gc
import logging
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

wsgi_app = "rebootcamp.wsgi:app"
bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = int(os.environ.get("WEB_THREADS", "4"))
# Engines and Mongo clients belong to one process each: the application is loaded after the fork.
preload_app = False
# Longer than the longest command (5 s statement timeout), shorter than an orchestrator's patience.
graceful_timeout = 30
timeout = 60
keepalive = 15
# The default socket has one path for all instances of a user, and fails on read-only systems.
control_socket_disable = True
accesslog = None
# The heartbeat file must not wait for a slow disk.
if os.path.isdir("/dev/shm"):  # noqa: S108
    worker_tmp_dir = "/dev/shm"  # noqa: S108

_KEY_IN_ADDRESS = re.compile(r"([?&]key=)[^&\s'\"]+")
_given = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
_metrics = Path(_given or Path(tempfile.gettempdir(), f"rebootcamp-metrics-{os.getpid()}"))
# prometheus_client reads it when a worker imports it, so it must be there before the first fork.
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_metrics)


def on_starting(server: Any) -> None:
    """Forget the counters of an earlier life; a reload (HUP) does not come here."""
    _metrics.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in _metrics.glob("*.db"):
        file.unlink(missing_ok=True)
    server.log.error_log.addFilter(hide_keys)


def hide_keys(record: logging.LogRecord) -> bool:
    """Take the keys of share links out of a line: gunicorn tells the whole address of a request that failed."""
    record.msg, record.args = _KEY_IN_ADDRESS.sub(r"\1…", record.getMessage()), None
    return True


def post_worker_init(worker: Any) -> None:
    """Keep what the loaded application consists of out of every later garbage collection."""
    gc.collect()
    gc.freeze()


def child_exit(server: Any, worker: Any) -> None:
    """Let live gauges forget a worker that has gone."""
    # Imported here because the library decides at import how it counts, from the variable set above.
    from prometheus_client import multiprocess  # noqa: PLC0415

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:
    """Leave nothing behind in the temporary directory."""
    if not _given:
        shutil.rmtree(_metrics, ignore_errors=True)
