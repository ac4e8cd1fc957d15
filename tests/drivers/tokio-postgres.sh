#!/bin/sh
# tokio-postgres and postgres (rust-postgres): their integration tests.
set -eu
case $1 in
get)
    [ -d src ] || git clone -q https://github.com/sfackler/rust-postgres src
    git -C src checkout -q e1cd6bee 2>/dev/null || true
    cd src && cargo fetch -q
    ;;
run)
    psql -qX -d intralith <<'SQL'
CREATE ROLE postgres SUPERUSER LOGIN;
CREATE ROLE pass_user PASSWORD 'password' LOGIN;
CREATE ROLE md5_user PASSWORD 'password' LOGIN;
CREATE ROLE scram_user PASSWORD 'password' LOGIN;
CREATE ROLE ssl_user LOGIN;
INSERT INTO intralith_hba_rules (rule_number, type, database, user_name, address, auth_method) VALUES
    (10, 'host', '{all}', '{pass_user,md5_user,scram_user}', 'all', 'scram-sha-256'),
    (20, 'hostssl', '{all}', '{ssl_user}', 'all', 'trust'),
    (30, 'host', '{all}', '{ssl_user}', 'all', 'reject'),
    (40, 'host', '{all}', '{all}', 'all', 'trust');
SQL
    cd src
    # The tests have the port in them.
    old=$(cat .port 2>/dev/null || echo 5433)
    grep -rlw "$old" --include='*.rs' postgres tokio-postgres | xargs sed -i "s/\b$old\b/$PGPORT/g"
    echo "$PGPORT" >.port
    cargo test -q --no-run -p tokio-postgres -p postgres --all-features 2>/dev/null
    { cargo test --no-fail-fast -p tokio-postgres -p postgres --all-features 2>/dev/null || true; } |
        awk '/^test .* FAILED$/ { print "fail " $2 } /^test .* ok$/ { n++ } END { print "passed " n + 0 }'
    ;;
esac
