//! The list of character sets.

use alloc::string::String;

use encoding_rs as tables;

/// How the bytes of a set are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One byte a character.
    Single,
    /// Two bytes, both with the high bit; `0x8e` and `0x8f` begin longer ones.
    Euc,
    /// Two bytes from a byte with the high bit on.
    Double,
    /// As `Double`, but `0xa1` to `0xdf` stand alone.
    ShiftJis,
    /// Two or four bytes, by the second.
    Gb18030,
    /// UTF-8, and bytes that are taken for it.
    Utf8,
}

/// Where a set's characters come from.
#[derive(Clone, Copy)]
pub(crate) enum Table {
    /// Bytes are taken as they are.
    None,
    /// Each byte is the code point; the listed ones are others.
    Latin(&'static [(u8, char)]),
    /// From the library; of its characters those that PostgreSQL has, and the listed others.
    Library(&'static tables::Encoding, Unlike, &'static [(u8, char)]),
    /// PostgreSQL converts it and we do not.
    Missing,
}

/// Which of the library's characters are not in PostgreSQL's set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unlike {
    /// All are.
    Nothing,
    /// Controls that stand for bytes without meaning.
    Controls,
    /// Characters for private use.
    Private,
    /// Characters with a byte below `0xa1`: they belong to larger sets.
    Low,
    /// Characters whose first byte is below `0xa1`.
    LowLead,
    /// Characters whose first byte is above `0xf4` and that have two: a vendor's.
    HighLead,
}

struct Entry {
    name: &'static str,
    shape: Shape,
    longest: i32,
    table: Table,
}

const fn entry(name: &'static str, shape: Shape, longest: i32, table: Table) -> Entry {
    Entry { name, shape, longest, table }
}

const fn single(name: &'static str, table: &'static tables::Encoding) -> Entry {
    entry(name, Shape::Single, 1, Table::Library(table, Unlike::Nothing, &[]))
}

const fn windows(name: &'static str, table: &'static tables::Encoding) -> Entry {
    entry(name, Shape::Single, 1, Table::Library(table, Unlike::Controls, &[]))
}

/// In a list: the byte is no character.
pub(crate) const NONE: char = '\u{fffd}';

/// ISO 8859-9: six letters of Turkish.
const TURKISH: [(u8, char); 6] =
    [(0xd0, 'Ğ'), (0xdd, 'İ'), (0xde, 'Ş'), (0xf0, 'ğ'), (0xfd, 'ı'), (0xfe, 'ş')];

/// PostgreSQL's encodings by number.
static ENTRIES: [Entry; 42] = [
    entry("SQL_ASCII", Shape::Utf8, 1, Table::None),
    entry("EUC_JP", Shape::Euc, 3, Table::Library(tables::EUC_JP, Unlike::HighLead, &[])),
    entry("EUC_CN", Shape::Euc, 3, Table::Library(tables::GBK, Unlike::Low, &[])),
    entry("EUC_KR", Shape::Euc, 3, Table::Library(tables::EUC_KR, Unlike::Low, &[])),
    entry("EUC_TW", Shape::Euc, 4, Table::Missing),
    entry("EUC_JIS_2004", Shape::Euc, 3, Table::Missing),
    entry("UTF8", Shape::Utf8, 4, Table::None),
    entry("MULE_INTERNAL", Shape::Euc, 4, Table::Missing),
    entry("LATIN1", Shape::Single, 1, Table::Latin(&[])),
    single("LATIN2", tables::ISO_8859_2),
    single("LATIN3", tables::ISO_8859_3),
    single("LATIN4", tables::ISO_8859_4),
    entry("LATIN5", Shape::Single, 1, Table::Latin(&TURKISH)),
    single("LATIN6", tables::ISO_8859_10),
    single("LATIN7", tables::ISO_8859_13),
    single("LATIN8", tables::ISO_8859_14),
    single("LATIN9", tables::ISO_8859_15),
    single("LATIN10", tables::ISO_8859_16),
    windows("WIN1256", tables::WINDOWS_1256),
    windows("WIN1258", tables::WINDOWS_1258),
    single("WIN866", tables::IBM866),
    windows("WIN874", tables::WINDOWS_874),
    single("KOI8R", tables::KOI8_R),
    windows("WIN1251", tables::WINDOWS_1251),
    windows("WIN1252", tables::WINDOWS_1252),
    single("ISO_8859_5", tables::ISO_8859_5),
    single("ISO_8859_6", tables::ISO_8859_6),
    single("ISO_8859_7", tables::ISO_8859_7),
    single("ISO_8859_8", tables::ISO_8859_8),
    windows("WIN1250", tables::WINDOWS_1250),
    windows("WIN1253", tables::WINDOWS_1253),
    windows("WIN1254", tables::WINDOWS_1254),
    entry(
        "WIN1255",
        Shape::Single,
        1,
        Table::Library(tables::WINDOWS_1255, Unlike::Controls, &[(0xca, NONE)]),
    ),
    windows("WIN1257", tables::WINDOWS_1257),
    entry(
        "KOI8U",
        Shape::Single,
        1,
        Table::Library(tables::KOI8_U, Unlike::Nothing, &[(0xae, '╝'), (0xbe, '╬')]),
    ),
    entry("SJIS", Shape::ShiftJis, 2, Table::Library(tables::SHIFT_JIS, Unlike::Private, &[])),
    entry("BIG5", Shape::Double, 2, Table::Library(tables::BIG5, Unlike::LowLead, &[])),
    entry("GBK", Shape::Double, 2, Table::Library(tables::GBK, Unlike::Private, &[])),
    entry("UHC", Shape::Double, 2, Table::Library(tables::EUC_KR, Unlike::Nothing, &[])),
    entry("GB18030", Shape::Gb18030, 4, Table::Library(tables::GB18030, Unlike::Nothing, &[])),
    entry("JOHAB", Shape::Double, 3, Table::Missing),
    entry("SHIFT_JIS_2004", Shape::ShiftJis, 2, Table::Missing),
];

/// Other names, as compared: without case and signs.
static ALIASES: [(&str, u8); 35] = [
    ("abc", 19),
    ("alt", 20),
    ("iso88591", 8),
    ("iso885910", 13),
    ("iso885913", 14),
    ("iso885914", 15),
    ("iso885915", 16),
    ("iso885916", 17),
    ("iso88592", 9),
    ("iso88593", 10),
    ("iso88594", 11),
    ("iso88599", 12),
    ("koi8", 22),
    ("mskanji", 35),
    ("shiftjis", 35),
    ("tcvn", 19),
    ("tcvn5712", 19),
    ("unicode", 6),
    ("vscii", 19),
    ("win", 23),
    ("win932", 35),
    ("win936", 37),
    ("win949", 38),
    ("win950", 36),
    ("windows1250", 29),
    ("windows1251", 23),
    ("windows1252", 24),
    ("windows1253", 30),
    ("windows1254", 31),
    ("windows1255", 32),
    ("windows1256", 18),
    ("windows1257", 33),
    ("windows1258", 19),
    ("windows866", 20),
    ("windows874", 21),
];

/// A character set, by PostgreSQL's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Encoding(u8);

impl Encoding {
    /// Bytes without meaning: what is stored goes out as it is, what comes must be UTF-8.
    pub const SQL_ASCII: Self = Self(0);
    /// What everything inside is.
    pub const UTF8: Self = Self(6);

    /// By number.
    pub fn by_number(number: i32) -> Option<Self> {
        let number = u8::try_from(number).ok()?;
        (usize::from(number) < ENTRIES.len()).then_some(Self(number))
    }

    /// By name or alias; case and signs do not matter.
    pub fn by_name(name: &str) -> Option<Self> {
        let wanted = plain(name);
        if let Some(n) = ENTRIES.iter().position(|e| plain(e.name) == wanted) {
            return u8::try_from(n).ok().map(Self);
        }
        ALIASES.iter().find(|(alias, _)| *alias == wanted).map(|(_, n)| Self(*n))
    }

    /// PostgreSQL's number.
    pub fn number(self) -> i32 {
        i32::from(self.0)
    }

    fn entry(self) -> &'static Entry {
        // Numbers are checked where they come in.
        ENTRIES.get(usize::from(self.0)).unwrap_or(&ENTRIES[6])
    }

    /// PostgreSQL's name.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// Bytes of its longest character.
    pub fn longest(self) -> i32 {
        self.entry().longest
    }

    /// Is text passed on as it is?
    pub fn is_plain(self) -> bool {
        matches!(self.entry().table, Table::None)
    }

    /// Can it be converted?
    pub fn is_supported(self) -> bool {
        !matches!(self.entry().table, Table::Missing)
    }

    /// May a database of PostgreSQL's have it? Those whose characters have bytes that look like ASCII may not.
    pub fn of_databases(self) -> bool {
        self.0 < 35
    }

    pub(crate) fn shape(self) -> Shape {
        self.entry().shape
    }

    pub(crate) fn table(self) -> Table {
        self.entry().table
    }
}

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}
