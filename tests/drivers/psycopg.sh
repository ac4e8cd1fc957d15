#!/bin/sh
# psycopg 3, pure Python: its tests but those of speed and of other processes.
set -eu
case $1 in
get)
    [ -d src ] || git clone -q https://github.com/psycopg/psycopg src
    git -C src checkout -q c079c37c 2>/dev/null || true
    python3 -m venv venv
    venv/bin/pip install -q ./src/psycopg ./src/psycopg_pool pytest==9.2.0 pytest-asyncio==1.5.0 anyio
    ;;
run)
    psql -qX -d intralith -c "CREATE DATABASE psycopg_test"
    cd src
    dsn="host=$PGHOST port=$PGPORT user=$PGUSER dbname=psycopg_test"
    # Some tests are about what the environment says.
    unset PGHOST PGPORT PGUSER
    { PSYCOPG_IMPL=python ../venv/bin/pytest tests -o asyncio_default_fixture_loop_scope=function -q -p no:randomly --tb=no --no-header -rA \
        -m "not timing and not slow and not subprocess" \
        --test-dsn="$dsn" || true; } | "$DRIVERS/pytest.awk"
    ;;
esac
