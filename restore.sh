#!/bin/sh
# Bring a backup back: ./restore.sh --help
set -eu
umask 077
cd "$(dirname "$0")"
python=.venv/bin/python
[ -x "$python" ] || python=python3
exec env PYTHONPATH="src${PYTHONPATH:+:$PYTHONPATH}" "$python" -m flask --app rebootcamp.wsgi restore "$@"
