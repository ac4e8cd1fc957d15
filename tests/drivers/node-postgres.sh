#!/bin/sh
# node-postgres: the files of test/integration.
set -eu
case $1 in
get)
    [ -d src ] || git clone -q https://github.com/brianc/node-postgres src
    git -C src checkout -q c9e57617 2>/dev/null || true
    npm install --silent --no-audit --no-fund --ignore-scripts --prefix . \
        pg@8.23.0 pg-copy-streams@0.3.0 async@2.6.4 bluebird@3.7.2 co@4.6.0
    ;;
run)
    psql -qX -d intralith -c "CREATE ROLE test SUPERUSER LOGIN PASSWORD 'test'" -c "CREATE DATABASE node OWNER test"
    export PGUSER=test PGPASSWORD=test PGDATABASE=node PGTESTNOSSL=true
    cd src/packages/pg
    passed=0
    for file in $(find test/integration -name '*-tests.js' | sort); do
        if timeout 60 node "$file" "postgres://test:test@$PGHOST:$PGPORT/node" >/dev/null 2>&1; then
            passed=$((passed + 1))
        else
            echo "fail $file"
        fi
    done
    echo "passed $passed"
    ;;
esac
