//! Large values: compressed and moved out of their rows as PostgreSQL does it, and seen by nobody who does not ask. Every
//! answer here is PostgreSQL's too.

use std::{
    io::{Read, Write},
    time::Duration,
};

use postgres::{Client, NoTls, SimpleQueryMessage};

use crate::{Outcome, Test, Url, check, equal};

pub const TESTS: &[Test] = &[
    ("large: storage and compression of columns", settings_of_columns),
    ("large: what is refused", refusals),
    ("large: values come back whole", round_trips),
    ("large: an update keeps what it does not change", pointers),
    ("large: what is undone leaves nothing", undone),
    ("large: constraints, triggers of keys, conflicts", statements),
    ("large: tables are rewritten", rewrites),
    ("large: space is used again", space),
    ("large: a statement that writes one is cancelled", cancel),
];

fn connect(url: &Url) -> Outcome<Client> {
    let mut c = Client::connect(&url.text, NoTls)?;
    c.batch_execute("SET default_toast_compression = lz4; SET client_min_messages = warning")?;
    Ok(c)
}

/// The rows of a query, columns by tabs.
fn rows(c: &mut Client, sql: &str) -> Outcome<Vec<String>> {
    let mut out = Vec::new();
    for m in c.simple_query(sql)? {
        if let SimpleQueryMessage::Row(row) = m {
            let columns: Vec<&str> = (0..row.len()).map(|i| row.get(i).unwrap_or("NULL")).collect();
            out.push(columns.join("\t"));
        }
    }
    Ok(out)
}

fn answers(c: &mut Client, sql: &str, wanted: &[&str]) -> Outcome {
    equal(sql, rows(c, sql)?, wanted.iter().map(|s| (*s).to_owned()).collect())
}

/// An SQL expression for so many bytes that do not compress, at least nearly.
fn noise(bytes: usize) -> String {
    format!("(SELECT string_agg(md5(i::text), '') FROM generate_series(1, {}) i)", bytes / 32)
}

/// The relation of a table's large values, and its distinct ids.
fn toast(c: &mut Client, table: &str) -> Outcome<String> {
    let sql = format!("SELECT reltoastrelid::regclass::text FROM pg_class WHERE oid = '{table}'::regclass");
    Ok(rows(c, &sql)?.remove(0))
}

fn ids(c: &mut Client, table: &str) -> Outcome<Vec<String>> {
    let toast = toast(c, table)?;
    rows(c, &format!("SELECT DISTINCT chunk_id::text FROM {toast} ORDER BY 1"))
}

fn settings_of_columns(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    c.batch_execute(
        "DROP TABLE IF EXISTS large_a, large_b, large_c;
         CREATE TABLE large_a (n int, t text COMPRESSION lz4, b bytea, d numeric, v varchar(10))",
    )?;
    let facts = "SELECT attname, attstorage, attcompression FROM pg_attribute \
                 WHERE attrelid = 'large_a'::regclass AND attnum > 0 ORDER BY attnum";
    answers(&mut c, facts, &["n\tp\t", "t\tx\tl", "b\tx\t", "d\tm\t", "v\tx\t"])?;
    c.batch_execute(
        "ALTER TABLE large_a ALTER t SET STORAGE EXTERNAL, ALTER COLUMN t SET COMPRESSION default,
             ALTER b SET STORAGE main, ALTER b SET COMPRESSION lz4, ALTER v SET STORAGE plain;
         ALTER TABLE large_a SET (toast_tuple_target = 4080, fillfactor = 70)",
    )?;
    answers(&mut c, facts, &["n\tp\t", "t\te\t", "b\tm\tl", "d\tm\t", "v\tp\t"])?;
    let options = "SELECT array_to_string(reloptions, ',') FROM pg_class WHERE relname = 'large_a'";
    answers(&mut c, options, &["toast_tuple_target=4080,fillfactor=70"])?;
    c.batch_execute("ALTER TABLE large_a RESET (toast_tuple_target)")?;
    answers(&mut c, options, &["fillfactor=70"])?;

    // Only tables whose rows could be large have somewhere to put them.
    c.batch_execute(
        "CREATE TABLE large_b (n int, v varchar(20), c char(84));
         CREATE TABLE large_c (n int);
         ALTER TABLE large_c ADD COLUMN t text",
    )?;
    let kinds = "SELECT c.relname, t.relkind, t.relnamespace::regnamespace, i.relkind FROM pg_class c \
                 LEFT JOIN pg_class t ON t.oid = c.reltoastrelid \
                 LEFT JOIN pg_index x ON x.indrelid = t.oid LEFT JOIN pg_class i ON i.oid = x.indexrelid \
                 WHERE c.relname IN ('large_a', 'large_b', 'large_c') ORDER BY 1";
    answers(
        &mut c,
        kinds,
        &["large_a\tt\tpg_toast\ti", "large_b\tNULL\tNULL\tNULL", "large_c\tt\tpg_toast\ti"],
    )?;
    let name = toast(&mut c, "large_c")?;
    let columns = format!(
        "SELECT attname, format_type(atttypid, -1), attstorage FROM pg_attribute \
         WHERE attrelid = '{name}'::regclass AND attnum > 0 ORDER BY attnum"
    );
    answers(&mut c, &columns, &["chunk_id\toid\tp", "chunk_seq\tinteger\tp", "chunk_data\tbytea\tp"])?;
    c.batch_execute("DROP TABLE large_a, large_b, large_c")?;
    answers(&mut c, &format!("SELECT to_regclass('{name}')"), &["NULL"])
}

fn refusals(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    c.batch_execute("DROP TABLE IF EXISTS large_r; CREATE TABLE large_r (n int, t text)")?;
    let name = toast(&mut c, "large_r")?;
    let short = name.trim_start_matches("pg_toast.").to_owned();
    for (sql, code, message) in [
        (
            "ALTER TABLE large_r ALTER n SET STORAGE extended".to_owned(),
            "0A000",
            "column data type integer can only have storage PLAIN".to_owned(),
        ),
        (
            "ALTER TABLE large_r ALTER t SET STORAGE big".to_owned(),
            "22023",
            "invalid storage type \"big\"".to_owned(),
        ),
        (
            "ALTER TABLE large_r ALTER n SET COMPRESSION lz4".to_owned(),
            "0A000",
            "column data type integer does not support compression".to_owned(),
        ),
        (
            "ALTER TABLE large_r ALTER t SET COMPRESSION zip".to_owned(),
            "22023",
            "invalid compression method \"zip\"".to_owned(),
        ),
        (
            "CREATE TABLE large_r2 (n int COMPRESSION lz4)".to_owned(),
            "0A000",
            "column data type integer does not support compression".to_owned(),
        ),
        (
            "ALTER TABLE large_r SET (toast_tuple_target = 100)".to_owned(),
            "22023",
            "value 100 out of bounds for option \"toast_tuple_target\"".to_owned(),
        ),
        (
            "ALTER TABLE large_r SET (toast_tuple_target = x)".to_owned(),
            "22023",
            "invalid value for integer option \"toast_tuple_target\": x".to_owned(),
        ),
        (
            "ALTER TABLE large_r SET (nonsense = 1)".to_owned(),
            "22023",
            "unrecognized parameter \"nonsense\"".to_owned(),
        ),
        (
            format!("INSERT INTO {name} VALUES (1, 1, 'a')"),
            "42809",
            format!("cannot change TOAST relation \"{short}\""),
        ),
        (format!("DROP TABLE {name}"), "42809", format!("\"{short}\" is not a table")),
        (
            "SELECT length(repeat('x', 1100000000))".to_owned(),
            "54000",
            "requested length too large".to_owned(),
        ),
    ] {
        let e = match c.batch_execute(&sql) {
            Ok(()) => return check(format!("{sql} is accepted"), false),
            Err(e) => e,
        };
        let e = e.as_db_error().ok_or_else(|| crate::Failure::Failed(format!("{sql}: {e}")))?;
        equal(&sql, (e.code().code(), e.message()), (code, message.as_str()))?;
    }
    Ok(c.batch_execute("DROP TABLE large_r")?)
}

fn round_trips(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    c.batch_execute("DROP TABLE IF EXISTS large_t")?;
    // Noise and words, in every kind of storage.
    for storage in ["plain", "external", "extended", "main"] {
        c.batch_execute(&format!(
            "CREATE TABLE large_t (id int PRIMARY KEY, t text, b bytea, a int[], n numeric);
             ALTER TABLE large_t ALTER t SET STORAGE {storage}, ALTER b SET STORAGE {storage};
             INSERT INTO large_t VALUES (1, repeat('word ', 1000), decode(repeat('00ff', 1500), 'hex'), NULL, NULL);
             INSERT INTO large_t VALUES (2, {}, NULL, '{{1,2}}', 3);
             INSERT INTO large_t SELECT 3, '', decode({}, 'hex'), array_agg(i), repeat('12345', 900)::numeric \
                 FROM generate_series(1, 4000) i",
            noise(6400),
            noise(7000)
        ))?;
        let sums = "SELECT id, length(t), md5(t), length(b), md5(b), array_length(a, 1), length(n::text) \
                    FROM large_t ORDER BY id";
        let plain = format!(
            "SELECT 1, 5000, md5(repeat('word ', 1000)), 3000, md5(decode(repeat('00ff', 1500), 'hex')), NULL, NULL
             UNION ALL SELECT 2, 6400, md5({}), NULL, NULL, 2, 1
             UNION ALL SELECT 3, 0, md5(''), length(d), md5(d), 4000, 4500 FROM (SELECT decode({}, 'hex') d) x \
             ORDER BY 1",
            noise(6400),
            noise(7000)
        );
        let (got, wanted) = (rows(&mut c, sums)?, rows(&mut c, &plain)?);
        equal(storage, got, wanted)?;
        let (compressed, out): (bool, bool) = match storage {
            "plain" => (false, false),
            "external" => (false, true),
            _ => (true, true),
        };
        let method = if compressed { "lz4" } else { "NULL" };
        answers(
            &mut c,
            "SELECT pg_column_compression(t) FROM large_t ORDER BY id",
            &[method, "NULL", "NULL"],
        )?;
        let sizes = rows(&mut c, "SELECT pg_column_size(t) < 1000 FROM large_t WHERE id = 1")?;
        equal(storage, sizes, vec![if compressed { "t" } else { "f" }.to_owned()])?;
        let size = if storage == "plain" || storage == "main" { "6404" } else { "6400" };
        answers(&mut c, "SELECT pg_column_size(t) FROM large_t WHERE id = 2", &[size])?;
        let elsewhere = ids(&mut c, "large_t")?;
        check(format!("{storage}: {elsewhere:?}"), out != elsewhere.is_empty() || storage == "plain")?;
        // The whole table out and in again.
        let mut text = Vec::new();
        c.copy_out("COPY large_t TO STDOUT")?.read_to_end(&mut text)?;
        c.batch_execute("TRUNCATE large_t")?;
        answers(&mut c, "SELECT count(*), pg_relation_size('large_t') FROM large_t", &["0\t0"])?;
        let mut writer = c.copy_in("COPY large_t FROM STDIN")?;
        writer.write_all(&text)?;
        writer.finish()?;
        let again = rows(&mut c, sums)?;
        equal("after COPY", again, rows(&mut c, &plain)?)?;
        c.batch_execute("DROP TABLE large_t")?;
    }
    // One that is far larger than what is read at a time.
    c.batch_execute(
        "CREATE TABLE large_t (id int, b bytea);
         ALTER TABLE large_t ALTER b SET STORAGE external",
    )?;
    let big: Vec<u8> = (0..12_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    c.execute("INSERT INTO large_t VALUES (1, $1), (2, NULL)", &[&big])?;
    let back: Vec<u8> = c.query_one("SELECT b FROM large_t WHERE id = 1", &[])?.get(0);
    check("12 MB come back", back == big)?;
    answers(&mut c, "SELECT id, pg_column_size(b) FROM large_t ORDER BY id", &["1\t12000000", "2\tNULL"])?;
    Ok(c.batch_execute("DROP TABLE large_t")?)
}

fn pointers(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    c.batch_execute(&format!(
        "DROP TABLE IF EXISTS large_p;
         CREATE TABLE large_p (id int PRIMARY KEY, n int, a text NOT NULL, b text CHECK (n < 100)) WITH (fillfactor = 50);
         INSERT INTO large_p VALUES (1, 0, {0}, {0}), (2, 0, {0}, 'small')",
        noise(5000)
    ))?;
    let before = ids(&mut c, "large_p")?;
    equal("values", before.len(), 3)?;
    let sum = "SELECT sum(n), sum(length(a)), sum(length(b)) FROM large_p";
    answers(&mut c, sum, &["0\t9984\t4997"])?;
    c.batch_execute("UPDATE large_p SET n = n + 1; UPDATE large_p SET n = n + 1 WHERE id = 1")?;
    equal("ids after UPDATE of another column", ids(&mut c, "large_p")?, before.clone())?;
    c.batch_execute("UPDATE large_p SET a = a, id = id + 10")?;
    equal("ids after UPDATE to itself", ids(&mut c, "large_p")?, before.clone())?;
    answers(&mut c, sum, &["3\t9984\t4997"])?;
    c.batch_execute("UPDATE large_p SET b = 'little' WHERE id = 11")?;
    equal("ids after one became small", ids(&mut c, "large_p")?.len(), 2)?;
    c.batch_execute(
        "UPDATE large_p SET b = '' WHERE id = 12; UPDATE large_p SET a = reverse(a) WHERE id = 12",
    )?;
    let after = ids(&mut c, "large_p")?;
    equal("ids after one was replaced", after.len(), 2)?;
    equal("ids that stayed", after.iter().filter(|i| before.contains(i)).count(), 1)?;
    answers(
        &mut c,
        "UPDATE large_p SET n = 5 WHERE id = 11 RETURNING id, length(a), b",
        &["11\t4992\tlittle"],
    )?;
    // The error of a check shows the row, values that need not be read included.
    let e = c.batch_execute("UPDATE large_p SET n = 100 WHERE id = 12").err();
    let detail = e.as_ref().and_then(|e| e.as_db_error()).and_then(|e| e.detail()).unwrap_or("").to_owned();
    check(
        detail.clone(),
        detail.starts_with("Failing row contains (12, 100, ") && detail.contains("..., )."),
    )?;
    c.batch_execute("DELETE FROM large_p")?;
    equal("ids after DELETE", ids(&mut c, "large_p")?.len(), 0)?;
    Ok(c.batch_execute("DROP TABLE large_p")?)
}

fn undone(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    c.batch_execute(&format!(
        "DROP TABLE IF EXISTS large_u;
         CREATE TABLE large_u (id int PRIMARY KEY, a text);
         INSERT INTO large_u VALUES (1, {0}), (2, {0})",
        noise(9000)
    ))?;
    let before = ids(&mut c, "large_u")?;
    let sum = "SELECT sum(id), sum(length(a)), count(DISTINCT md5(a)) FROM large_u";
    answers(&mut c, sum, &["3\t17984\t1"])?;
    c.batch_execute(&format!(
        "BEGIN;
         UPDATE large_u SET a = reverse(a) WHERE id = 1;
         SAVEPOINT s;
         DELETE FROM large_u WHERE id = 2;
         INSERT INTO large_u VALUES (3, {});
         ROLLBACK TO s;
         ROLLBACK",
        noise(8000)
    ))?;
    answers(&mut c, sum, &["3\t17984\t1"])?;
    equal("ids after ROLLBACK", ids(&mut c, "large_u")?, before.clone())?;
    check(
        "a second row with the key is refused",
        c.batch_execute(&format!("INSERT INTO large_u VALUES (1, {})", noise(9000))).is_err(),
    )?;
    equal("ids after an error", ids(&mut c, "large_u")?, before)?;
    // An old snapshot goes on reading what was replaced since.
    let mut other = connect(url)?;
    other.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")?;
    answers(&mut other, sum, &["3\t17984\t1"])?;
    c.batch_execute("UPDATE large_u SET a = 'gone'")?;
    c.batch_execute("VACUUM large_u")?;
    answers(&mut other, sum, &["3\t17984\t1"])?;
    other.batch_execute("COMMIT")?;
    answers(&mut other, sum, &["3\t8\t1"])?;
    Ok(c.batch_execute("DROP TABLE large_u")?)
}

fn statements(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    c.batch_execute(&format!(
        "DROP TABLE IF EXISTS large_s2, large_s;
         CREATE TABLE large_s (id int PRIMARY KEY, n int DEFAULT 0, a text,
             l int GENERATED ALWAYS AS (length(a)) STORED, CHECK (length(a) < 20000));
         CREATE UNIQUE INDEX ON large_s (md5(a));
         CREATE TABLE large_s2 (id int REFERENCES large_s ON DELETE CASCADE ON UPDATE CASCADE, a text);
         INSERT INTO large_s (id, a) VALUES (1, {0}), (2, reverse({0}));
         INSERT INTO large_s2 SELECT id, a FROM large_s",
        noise(9000)
    ))?;
    answers(&mut c, "SELECT id, l, length(a) FROM large_s ORDER BY id", &["1\t8992\t8992", "2\t8992\t8992"])?;
    let put = format!(
        "INSERT INTO large_s (id, a) VALUES (1, {}) ON CONFLICT (id) DO UPDATE \
         SET a = left(large_s.a, 3000) || excluded.a, n = large_s.n + 1 RETURNING n, l",
        noise(3200)
    );
    answers(&mut c, &put, &["1\t6200"])?;
    answers(&mut c, &put, &["2\t6200"])?;
    let keep = "INSERT INTO large_s (id, a) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE \
                SET n = large_s.n + 1 RETURNING n, l";
    let before = ids(&mut c, "large_s")?;
    answers(&mut c, keep, &["3\t6200"])?;
    answers(&mut c, keep, &["4\t6200"])?;
    equal("ids after ON CONFLICT", ids(&mut c, "large_s")?, before)?;
    check(
        "a check looks at a large value",
        c.batch_execute("UPDATE large_s SET a = a || a || a || a WHERE id = 1").is_err(),
    )?;
    answers(
        &mut c,
        "SELECT id FROM large_s WHERE md5(a) = (SELECT md5(a) FROM large_s WHERE id = 2)",
        &["2"],
    )?;
    c.batch_execute("UPDATE large_s SET id = 20 WHERE id = 2")?;
    answers(&mut c, "SELECT id, length(a) FROM large_s2 ORDER BY id", &["1\t8992", "20\t8992"])?;
    c.batch_execute("DELETE FROM large_s WHERE id = 20")?;
    equal("ids after a cascade", ids(&mut c, "large_s2")?.len(), 1)?;
    answers(
        &mut c,
        "SELECT count(*), max(length(x.a || y.a)) FROM large_s x JOIN large_s2 y USING (id)",
        &["1\t15192"],
    )?;
    c.batch_execute("ANALYZE large_s")?;
    Ok(c.batch_execute("DROP TABLE large_s2, large_s")?)
}

fn rewrites(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    c.batch_execute(&format!(
        "DROP TABLE IF EXISTS large_w;
         CREATE TABLE large_w (id int PRIMARY KEY, v varchar(9000), x int);
         INSERT INTO large_w VALUES (1, {0}, 1), (2, 'b', 2)",
        noise(6000)
    ))?;
    let sum = "SELECT id, length(v), md5(v), x FROM large_w ORDER BY id";
    let before = rows(&mut c, sum)?;
    for change in [
        "ALTER TABLE large_w ALTER v TYPE text",
        "ALTER TABLE large_w ADD y double precision DEFAULT random()",
        "ALTER TABLE large_w DROP y",
        "VACUUM FULL large_w",
        "ALTER TABLE large_w ALTER x TYPE bigint",
        "UPDATE large_w SET x = x",
        "CREATE INDEX ON large_w (md5(v))",
        "REINDEX TABLE large_w",
        "VACUUM large_w",
    ] {
        c.batch_execute(change)?;
        equal(change, rows(&mut c, sum)?, before.clone())?;
        equal(change, ids(&mut c, "large_w")?.len(), 1)?;
    }
    c.batch_execute("ALTER TABLE large_w DROP v; UPDATE large_w SET x = 0")?;
    equal("values of a dropped column", ids(&mut c, "large_w")?.len(), 0)?;
    c.batch_execute(&format!(
        "CREATE TABLE large_w2 AS SELECT i AS id, {} AS t FROM generate_series(1, 3) i",
        noise(5000)
    ))?;
    answers(&mut c, "SELECT count(*), min(length(t)) FROM large_w2", &["3\t4992"])?;
    equal("values of CREATE TABLE AS", ids(&mut c, "large_w2")?.len(), 3)?;
    Ok(c.batch_execute("DROP TABLE large_w, large_w2")?)
}

fn space(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    c.batch_execute(&format!(
        "DROP TABLE IF EXISTS large_v;
         CREATE TABLE large_v (id int PRIMARY KEY, a text);
         INSERT INTO large_v SELECT i, {} || i FROM generate_series(1, 10) i",
        noise(100_000)
    ))?;
    let size = "SELECT pg_table_size('large_v') / 8192";
    let pages = |c: &mut Client| -> Outcome<u64> { Ok(rows(c, size)?.remove(0).parse()?) };
    let first = pages(&mut c)?;
    check(format!("a megabyte lies on {first} pages"), (120..180).contains(&first))?;
    for _ in 0..6 {
        c.batch_execute("UPDATE large_v SET a = reverse(a)")?;
        c.batch_execute("VACUUM large_v")?;
    }
    let last = pages(&mut c)?;
    check(format!("{first} pages, {last} after updates and vacuum"), last < first * 3)?;
    Ok(c.batch_execute("DROP TABLE large_v")?)
}

fn cancel(url: &Url) -> Outcome {
    let mut c = connect(url)?;
    c.batch_execute(
        "DROP TABLE IF EXISTS large_c;
         CREATE TABLE large_c (b text);
         ALTER TABLE large_c ALTER b SET STORAGE external",
    )?;
    let token = c.cancel_token();
    let killer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(400));
        token.cancel_query(NoTls)
    });
    let e = c.batch_execute(
        "INSERT INTO large_c SELECT repeat('0123456789', 6000000) FROM generate_series(1, 50)",
    );
    killer.join().map_err(|_| crate::Failure::Failed("the canceller panicked".into()))??;
    let code = e.as_ref().err().and_then(|e| e.code()).map_or("", |c| c.code());
    equal("code", code, "57014")?;
    answers(&mut c, "SELECT count(*) FROM large_c", &["0"])?;
    equal("values", ids(&mut c, "large_c")?.len(), 0)?;
    Ok(c.batch_execute("DROP TABLE large_c")?)
}
