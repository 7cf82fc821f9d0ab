#!/bin/sh
# Bring a backup back: ./restore.sh [--dry-run] [--force] [--into NAME] [BACKUP] | --drop-old [--into NAME]
set -eu
umask 077
cd "$(dirname "$0")"
python=.venv/bin/python
[ -x "$python" ] || python=python3
PYTHONPATH="src${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONPATH
exec "$python" -m flask --app rebootcamp.wsgi restore "$@"
