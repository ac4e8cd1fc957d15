#!/bin/sh
# Records PostgreSQL's answers beside each script. Usage: PGHOST=... PGPORT=... ./regenerate.sh
for f in *.sql; do
    dropdb --if-exists corpus 2>/dev/null
    createdb -T template0 corpus
    while IFS= read -r line; do
        printf '\\echo > %s\n' "$(printf '%s' "$line" | sed 's/\\/\\\\/g' | sed "s/'/''/g; s/^/'/; s/\$/'/")"
        printf '%s\n' "$line"
    done <"$f" | psql -X -q -At -v VERBOSITY=verbose -d corpus 2>&1 |
        grep -Ev '^(LOCATION|LINE|DETAIL|HINT|CONTEXT|NOTICE|WARNING|(SCHEMA|TABLE|COLUMN|DATATYPE|CONSTRAINT) NAME|drop cascades to | +\^)|^[^>].* depends on ' >"${f%.sql}.out"
done
