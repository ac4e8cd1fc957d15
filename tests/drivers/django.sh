#!/bin/sh
# Django with psycopg 3: the parts of its tests that are about databases.
set -eu
case $1 in
get)
    python3 -m venv venv
    venv/bin/pip install -q psycopg==3.2.3 asgiref sqlparse tzdata
    [ -d src ] || { venv/bin/pip download -q --no-deps --no-binary :all: Django==4.2.16 &&
        mkdir src && tar xzf Django-4.2.16.tar.gz --strip-components=1 -C src; }
    ;;
run)
    psql -qX -d intralith -c "CREATE DATABASE other"
    cp "$DRIVERS/django_settings.py" src/tests/intralith_settings.py
    cd src/tests
    { PYTHONPATH=.. ../../venv/bin/python runtests.py --settings=intralith_settings --parallel=1 --noinput -v1 \
        aggregation aggregation_regress annotations backends basic bulk_create constraints dates datetimes db_functions \
        delete expressions expressions_case expressions_window indexes inspectdb introspection lookup many_to_many \
        many_to_one migrations model_fields ordering queries raw_query schema select_for_update transactions update 2>&1 || true; } | awk '
        /^(FAIL|ERROR): / && !seen[$3]++ { print "fail " $2 " " $3; bad++ }
        /^Ran [0-9]+ tests/ { ran = $2 }
        match($0, /skipped=[0-9]+/) { skipped = substr($0, RSTART + 8, RLENGTH - 8) }
        END { print "passed " ran - bad - skipped }'
    ;;
esac
