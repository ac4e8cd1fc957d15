#!/bin/sh
# sqlx 0.8.6: its tests of PostgreSQL. What its macros ask while they are compiled is asked of the server under test.
set -eu
export CARGO_BUILD_JOBS="${CARGO_BUILD_JOBS:-1}" CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0
tests() { # STEP...: of each of its files of tests
    cargo test -q --no-default-features --features postgres,macros,migrate,_unstable-all-types,runtime-tokio,tls-none \
        --test postgres --test postgres-types --test postgres-describe --test postgres-macros --test postgres-derives \
        --test postgres-error --test postgres-test-attr --test postgres-migrate --test postgres-query-builder "$@"
}
case $1 in
get)
    [ -d src ] || git clone -q --branch v0.8.6 https://github.com/launchbadge/sqlx src
    cd src
    # Its old compiler, and what only benches and tests of SQLite need.
    rm -f rust-toolchain.toml
    sed -i '/^criterion = /d; /^libsqlite3-sys = { version = "[0-9.]*" }$/d' Cargo.toml
    # Queries that the server cannot describe would keep the others of their file from being compiled.
    grep -q 'cfg(any())' tests/postgres/macros.rs ||
        sed -i 's/^async fn \(pghstore_tests\|test_to_from_citext\)()/#[cfg(any())]\n&/' tests/postgres/macros.rs
    # A procedure in SQL instead of PL/pgSQL.
    sed -i "s/LANGUAGE plpgsql AS 'begin forty_two := 42; end;'/LANGUAGE sql AS 'SELECT 42'/" tests/postgres/setup.sql
    cargo fetch -q
    ;;
run)
    psql -qX -d intralith -c "CREATE DATABASE sqlx"
    cd src
    psql -qX -d sqlx -f tests/postgres/setup.sql 2>/dev/null || true
    export DATABASE_URL="postgres://$PGUSER@$PGHOST:$PGPORT/sqlx"
    touch tests/postgres/*.rs
    tests --no-run
    # One at a time: tests of migrations drop each other's database.
    { tests --no-fail-fast -- --test-threads=1 --format=pretty 2>/dev/null || true; } |
        awk '/^test .* FAILED$/ { print "fail " $2 } /^test .* ok$/ { n++ } END { print "passed " n + 0 }'
    echo "fail pghstore_tests"
    echo "fail test_to_from_citext"
    ;;
esac
