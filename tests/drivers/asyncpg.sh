#!/bin/sh
# asyncpg: its tests but those of its own style and of broken servers.
set -eu
case $1 in
get)
    python3 -m venv venv
    venv/bin/pip install -q asyncpg==0.30.0 pytest==9.2.0 uvloop distro
    [ -d src ] || { venv/bin/pip download -q --no-deps --no-binary :all: asyncpg==0.30.0 &&
        mkdir src && tar xzf asyncpg-0.30.0.tar.gz --strip-components=1 -C src; }
    ;;
run)
    psql -qX -d intralith -c "CREATE ROLE postgres SUPERUSER LOGIN"
    export PGUSER=postgres PGDATABASE=postgres
    cd src
    { ../venv/bin/pytest -q -p no:randomly -p no:asyncio --tb=no --no-header -rA tests --ignore tests/test__sourcecode.py \
        --ignore tests/test_adversity.py || true; } | "$DRIVERS/pytest.awk"
    ;;
esac
