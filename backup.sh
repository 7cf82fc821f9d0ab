#!/bin/sh
# Back up both databases as one: ./backup.sh [--keep daily=7,weekly=4,monthly=12 | --verify [PATH] | --list | --plain DIR]
set -eu
umask 077
cd "$(dirname "$0")"
python=.venv/bin/python
[ -x "$python" ] || python=python3
PYTHONPATH="src${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONPATH
exec "$python" -m flask --app rebootcamp.wsgi backup "$@"
