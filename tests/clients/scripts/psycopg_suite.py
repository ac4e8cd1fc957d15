"""psycopg 3 against a server: python3 psycopg_suite.py URL. Any failed assertion ends it with status 1."""

import datetime
import decimal
import select
import sys
import uuid

import psycopg
from psycopg import errors


def values(conn):
    samples = [
        ("int4", 42),
        ("int8", 2**62),
        ("float8", 0.1),
        ("numeric", decimal.Decimal("12345678901234567890.5")),
        ("text", "é ' \\ \n"),
        ("bytea", b"\x00\xff"),
        ("bool", True),
        ("date", datetime.date(2024, 2, 29)),
        ("time", datetime.time(1, 2, 3, 456)),
        ("timestamp", datetime.datetime(2024, 2, 29, 1, 2, 3)),
        ("timestamptz", datetime.datetime(2024, 2, 29, 1, 2, 3, tzinfo=datetime.timezone.utc)),
        ("interval", datetime.timedelta(days=3, seconds=4, microseconds=5)),
        ("uuid", uuid.UUID(int=12345)),
    ]
    for binary in (False, True):
        for name, value in samples:
            with conn.cursor(binary=binary) as cur:
                for placeholder in ("%s", "%t", "%b"):
                    cur.execute(f"SELECT {placeholder}::{name}", (value,))
                    got = cur.fetchone()[0]
                    assert got == value, (name, binary, placeholder, got, value)
            with conn.cursor(binary=binary) as cur:
                cur.execute(f"SELECT NULL::{name}")
                assert cur.fetchone() == (None,)


def transactions(conn):
    conn.execute("DROP TABLE IF EXISTS client_python")
    conn.execute("CREATE TABLE client_python (id serial PRIMARY KEY, n int)")
    with conn.cursor() as cur:
        cur.executemany("INSERT INTO client_python (n) VALUES (%s)", [(i,) for i in range(100)])
        assert cur.rowcount == 100
    conn.commit()
    try:
        with conn.transaction():
            conn.execute("DELETE FROM client_python")
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert conn.execute("SELECT count(*), sum(n) FROM client_python").fetchone() == (100, 4950)
    with conn.transaction():
        try:
            with conn.transaction():
                conn.execute("SELECT 1/0")
        except errors.DivisionByZero:
            pass
        assert conn.execute("SELECT 7").fetchone() == (7,)


def pipeline(conn):
    with conn.pipeline():
        cursors = [conn.execute("SELECT %s::int4 + 1", (i,)) for i in range(50)]
    assert [c.fetchone()[0] for c in cursors] == list(range(1, 51))
    try:
        with conn.pipeline():
            conn.execute("SELECT 1/0")
            conn.execute("SELECT 1")
    except errors.DivisionByZero:
        conn.rollback()
    else:
        raise AssertionError("no error")


def copying(conn):
    with conn.cursor() as cur:
        with cur.copy("COPY client_python (id, n) FROM STDIN") as copy:
            for i in range(1000, 2000):
                copy.write_row((i, None if i % 2 else i))
        with cur.copy("COPY (SELECT n FROM client_python WHERE id >= 1000 ORDER BY id) TO STDOUT") as copy:
            rows = list(copy.rows())
    assert len(rows) == 1000 and rows[0] == ("1000",) and rows[1] == (None,)


def server_cursor(conn):
    with conn.cursor(name="walk") as cur:
        cur.execute("SELECT generate_series(1, 5000)")
        cur.itersize = 300
        assert sum(row[0] for row in cur) == 5000 * 5001 // 2
    conn.commit()


def answers_do_not_wait(url):
    """Each answer of a pipeline is sent before the next statement begins, which may take long."""
    with psycopg.connect(url) as conn:
        pg = conn.pgconn
        pg.enter_pipeline_mode()
        for statement in (b"SELECT 1", b"SELECT pg_sleep(60)"):
            pg.send_query_params(statement, None)
            pg.pipeline_sync()
        pg.flush()
        while pg.is_busy():
            assert select.select([pg.socket], [], [], 10)[0], "no answer"
            pg.consume_input()
        assert pg.get_result().get_value(0, 0) == b"1"
        pg.get_cancel().cancel()
        pg.finish()


def main():
    with psycopg.connect(sys.argv[1]) as conn:
        assert conn.info.parameter_status("client_encoding") == "UTF8"
        assert conn.info.server_version // 10000 == 15
        values(conn)
        transactions(conn)
        pipeline(conn)
        copying(conn)
        server_cursor(conn)
        conn.execute("DROP TABLE client_python")
    answers_do_not_wait(sys.argv[1])


main()
