FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
COPY requirements.txt .
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv install --require-hashes -r requirements.txt
COPY src /app/src
# The running user cannot write there: without this every start would compile again.
RUN python -m compileall -q /opt/venv/lib /app/src

FROM python:3.13-slim AS service
RUN groupadd --gid 10001 rebootcamp \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin rebootcamp
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app/src \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    FLASK_APP=rebootcamp.wsgi \
    APP_ENV=production \
    HOST=0.0.0.0 \
    PORT=8000 \
    PROMETHEUS_MULTIPROC_DIR=/tmp/metrics
# A volume that is first mounted here takes over the owner.
RUN install -d -o rebootcamp -g rebootcamp -m 0700 /var/lib/rebootcamp
WORKDIR /app
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app/src src
COPY migrations migrations
COPY mongo_init mongo_init
COPY data data
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/livez', timeout=2)"]
CMD ["gunicorn", "--config", "python:rebootcamp.gunicorn_conf"]

# The same service with pg_dump, pg_restore and psql of the server's version: the distribution's own are older.
FROM service AS backup
USER root
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates postgresql-common \
    && /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y \
    && apt-get install --yes --no-install-recommends postgresql-client-18 \
    && rm -rf /var/lib/apt/lists/* \
    && install --directory --owner=10001 --group=10001 --mode=0700 /backups
USER 10001:10001
CMD ["flask", "backup"]

# What `docker build` makes when no stage is named.
FROM service
