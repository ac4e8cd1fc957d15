//! The types that statements use, and values of them: ordinary ones that repeat, and odd ones.

use crate::random::Random;

/// A type, as `format_type` writes it.
pub type Type = &'static str;

/// All of them.
pub const TYPES: [Type; 38] = [
    "smallint",
    "integer",
    "bigint",
    "numeric",
    "real",
    "double precision",
    "boolean",
    "text",
    "character varying",
    "character",
    "bytea",
    "date",
    "time without time zone",
    "time with time zone",
    "timestamp without time zone",
    "timestamp with time zone",
    "interval",
    "uuid",
    "json",
    "jsonb",
    "jsonpath",
    "inet",
    "cidr",
    "macaddr",
    "macaddr8",
    "bit",
    "bit varying",
    "money",
    "name",
    "oid",
    "integer[]",
    "bigint[]",
    "text[]",
    "numeric[]",
    "date[]",
    "boolean[]",
    "mood",
    "small_number",
];

/// Types that this module knows by another's name: element types of arrays.
pub const ARRAYS: [(Type, Type); 6] = [
    ("integer", "integer[]"),
    ("bigint", "bigint[]"),
    ("text", "text[]"),
    ("numeric", "numeric[]"),
    ("date", "date[]"),
    ("boolean", "boolean[]"),
];

/// The type of that name.
pub fn known(name: &str) -> Option<Type> {
    TYPES.iter().find(|t| **t == name).copied()
}

/// The array type of elements.
pub fn array_of(element: Type) -> Option<Type> {
    ARRAYS.iter().find(|a| a.0 == element).map(|a| a.1)
}

/// The type of an array's elements.
pub fn element_of(array: Type) -> Option<Type> {
    ARRAYS.iter().find(|a| a.1 == array).map(|a| a.0)
}

/// Is there an order (and equality)?
pub fn ordered(of: Type) -> bool {
    !matches!(of, "json" | "jsonpath")
}

/// What a table's column is declared as.
pub fn column_type(random: &mut Random, of: Type) -> String {
    match of {
        "numeric" => random.pick(&["numeric", "numeric(10,2)", "numeric(30,8)"]).into(),
        "character varying" => random.pick(&["varchar", "varchar(40)"]).into(),
        "character" => "char(6)".into(),
        "bit" => "bit(5)".into(),
        other => other.into(),
    }
}

const ORDINARY: [(Type, &[&str]); 31] = [
    ("smallint", &["0", "1", "2", "3", "-1", "7", "100"]),
    ("integer", &["0", "1", "2", "3", "-1", "10", "42", "1000"]),
    ("bigint", &["0", "1", "2", "3", "-5", "100", "5000000000"]),
    ("numeric", &["0", "1", "1.5", "2.25", "-3.10", "10", "0.01", "123456.78"]),
    ("real", &["0", "1", "1.5", "-2.25", "100", "0.1"]),
    ("double precision", &["0", "1", "1.5", "-2.25", "1000", "0.1"]),
    ("boolean", &["true", "false"]),
    ("text", &["", "a", "b", "abc", "Abc", "foo bar", "zz", "10", "äß"]),
    ("character varying", &["", "a", "b", "abc", "B", "x y"]),
    ("character", &["", "a", "ab", "abc", "A"]),
    ("bytea", &["", "\\x00", "\\x616263", "\\xdeadbeef"]),
    ("date", &["2000-01-01", "2020-02-29", "1999-12-31", "2024-07-15"]),
    ("time without time zone", &["00:00", "12:34:56", "23:59:59.999", "07:00"]),
    ("time with time zone", &["00:00+00", "12:34:56+02", "10:34:56+00", "23:59:59-08"]),
    (
        "timestamp without time zone",
        &["2000-01-01 00:00", "2020-02-29 12:34:56.789", "1999-12-31 23:59:59", "2024-07-15 06:00"],
    ),
    (
        "timestamp with time zone",
        &[
            "2000-01-01 00:00+00",
            "2020-02-29 12:34:56.789+02",
            "1999-12-31 23:59:59-05",
            "2024-07-15 06:00+00",
        ],
    ),
    ("interval", &["0", "1 day", "1 month", "2 hours 30 minutes", "-1 year 3 days", "00:00:01.5"]),
    (
        "uuid",
        &[
            "00000000-0000-0000-0000-000000000000",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
        ],
    ),
    (
        "json",
        &["null", "1", "\"a\"", "[1, 2, 3]", "{\"a\": 1, \"b\": [true, null]}", "{\"a\": {\"b\": \"c\"}}"],
    ),
    (
        "jsonb",
        &[
            "null",
            "1",
            "\"a\"",
            "[1, 2, 3]",
            "{\"a\": 1, \"b\": [true, null]}",
            "{\"a\": {\"b\": \"c\"}}",
            "{}",
            "[]",
        ],
    ),
    ("inet", &["127.0.0.1", "10.1.2.3/8", "192.168.0.0/24", "::1", "2001:db8::1/64"]),
    ("cidr", &["127.0.0.1", "10.0.0.0/8", "192.168.0.0/24", "::1", "2001:db8::/64"]),
    ("macaddr", &["08:00:2b:01:02:03", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"]),
    ("macaddr8", &["08:00:2b:01:02:03:04:05", "00:00:00:00:00:00:00:00"]),
    ("bit", &["0", "1"]),
    ("bit varying", &["", "0", "1", "10101", "00110011"]),
    ("money", &["0", "1.50", "-3.25", "1000000"]),
    ("name", &["", "a", "abc", "pg_class"]),
    ("oid", &["0", "1", "42", "16384"]),
    ("mood", &["sad", "ok", "happy"]),
    ("small_number", &["0", "1", "5", "99"]),
];

const ODD: [(Type, &[&str]); 24] = [
    ("smallint", &["32767", "-32768"]),
    ("integer", &["2147483647", "-2147483648", "65536", "-100"]),
    ("bigint", &["9223372036854775807", "-9223372036854775808", "4294967296"]),
    (
        "numeric",
        &[
            "NaN",
            "Infinity",
            "-Infinity",
            "99999999999999999999999999.999",
            "0.000000000000000000001",
            "-0.5",
            "1e30",
            "0.5000",
            "2.5",
        ],
    ),
    ("real", &["NaN", "Infinity", "-Infinity", "1e38", "1e-38", "-0", "16777217"]),
    (
        "double precision",
        &["NaN", "Infinity", "-Infinity", "1e308", "1e-308", "-0", "0.30000000000000004", "9007199254740993"],
    ),
    (
        "text",
        &[
            "a%b_c",
            "\\",
            "'q'",
            "  pad  ",
            "日本語",
            "1e5",
            "NaN",
            "true",
            "2020-01-01",
            "{1,2}",
            "a,b,,c",
            "ǅ ŉ",
            "\t\n",
            "null",
            "-17",
            "0x1F",
            "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789abcdefghijklmnopqrstuvwxyz",
        ],
    ),
    ("character varying", &["  ", "%", "日本", "x'y"]),
    ("character", &[" a", "é"]),
    ("bytea", &["\\x5c", "\\xff00ff", "\\x0102030405060708090a0b0c0d0e0f10"]),
    ("date", &["infinity", "-infinity", "4713-01-01 BC", "5874897-12-31", "0001-01-01", "1900-02-28"]),
    ("time without time zone", &["24:00", "00:00:00.000001"]),
    ("time with time zone", &["24:00+00", "00:00:00+15:59"]),
    (
        "timestamp without time zone",
        &["infinity", "-infinity", "4713-01-01 00:00 BC", "294276-12-31 23:59:59.999999", "0044-03-15 BC"],
    ),
    (
        "timestamp with time zone",
        &["infinity", "-infinity", "4714-11-24 00:00+00 BC", "294276-12-31 23:59:59.999999+00"],
    ),
    (
        "interval",
        &[
            "178000000 years",
            "-178000000 years",
            "1 mon -1 day 00:00:00.000001",
            "-00:00:00.1",
            "30 days",
            "24:00:00",
        ],
    ),
    (
        "jsonb",
        &[
            "1.0",
            "1e400",
            "\"\\u00e4\"",
            "{\"a\": [1, {\"b\": 2}, [3]], \"c\": \"d\"}",
            "[[], {}, \"\", null, 1.50]",
            "false",
        ],
    ),
    ("json", &["[]", "{}", " { \"a\" : 1 , \"a\" : 2 } ", "1.50", "\"\\ud83d\\ude00\""]),
    ("inet", &["0.0.0.0/0", "255.255.255.255", "::ffff:1.2.3.4", "::/0"]),
    ("cidr", &["0.0.0.0/0", "::/0"]),
    ("bit varying", &["1111111111111111111111111111111111111111"]),
    ("money", &["92233720368547758.07", "-92233720368547758.08"]),
    ("oid", &["4294967295"]),
    (
        "jsonpath",
        &[
            "$.**",
            "$[*] ? (@ > 1)",
            "$.a.b",
            "strict $.a[last]",
            "$.keyvalue()",
            "$ ? (exists (@.a))",
            "$[0 to 1]",
            "$.a ? (@.b like_regex \"^c\")",
            "lax $.*.type()",
            "$[*] + 1",
            "-$[0]",
            "$.size()",
            "$.** ? (@ starts with \"a\")",
            "$[*] ? (@ > 1 && @ < 3 || @ == null)",
            "$.a.b.datetime()",
            "$[last - 1].double()",
        ],
    ),
];

/// The text of a value, not quoted.
pub fn content(random: &mut Random, of: Type, odd: bool) -> String {
    if let Some(element) = element_of(of) {
        let quoted = |random: &mut Random| match random.percent(10) {
            true => "NULL".to_owned(),
            false => {
                let value = content(random, element, odd);
                format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
            }
        };
        let items: Vec<String> = (0..random.below(4)).map(|_| quoted(random)).collect();
        if odd && items.len() == 2 && random.percent(30) {
            return random.pick(&["{}", "{{%},{%}}", "[0:1]={%,%}"]).replace('%', &items[0]);
        }
        return format!("{{{}}}", items.join(","));
    }
    let find = |table: &[(Type, &'static [&'static str])]| table.iter().find(|t| t.0 == of).map(|t| t.1);
    let strange = if odd && random.percent(40) { find(&ODD) } else { None };
    match strange.or_else(|| find(&ORDINARY)).or_else(|| find(&ODD)) {
        Some(values) => random.pick(values).to_owned(),
        None => String::new(),
    }
}

/// A literal of a type, with a cast that says so; `odd`: extremes, too.
pub fn literal(random: &mut Random, of: Type, odd: bool) -> String {
    if random.percent(5) {
        return format!("NULL::{of}");
    }
    let value = content(random, of, odd);
    match of {
        "integer" if value.bytes().all(|b| b.is_ascii_digit()) => value,
        "boolean" => value,
        _ => format!("'{}'::{of}", value.replace('\'', "''")),
    }
}

/// A value for a table's column; not every odd one fits there.
pub fn stored(random: &mut Random, of: Type, declared: &str) -> String {
    let value = content(random, of, random.clone().percent(50));
    let fits = match declared {
        "numeric(10,2)" => value.len() < 9 && !value.contains("nf") && !value.contains("e3"),
        "numeric(30,8)" => value.len() < 20 && !value.contains("nf") && !value.contains("e3"),
        "bit(5)" => return format!("B'{}'", random.pick(&["00000", "10101", "11111", "00001"])),
        _ => true,
    };
    if fits { format!("'{}'", value.replace('\'', "''")) } else { "'1'".into() }
}
