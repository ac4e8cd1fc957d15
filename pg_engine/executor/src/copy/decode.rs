//! Rows from bytes.

use alloc::{format, string::String, vec::Vec};

use pg_plan::utility::{CopyFormat, CopyOptions};
use pg_types::{
    Batch, Result, SqlError, SqlState, VectorBuilder, format::FormatSettings, io, vector::BATCH_ROWS,
};

use super::{Column, Style, binary, field::store};

/// Longest row, as in PostgreSQL.
const MAX_ROW: usize = 1 << 30;
/// Rows of a batch of [`Decoder::large_batches`], and bytes of the file from which on it ends earlier.
const MANY_ROWS: usize = 8 * BATCH_ROWS;
const MANY_BYTES: usize = 1 << 20;
/// So many rows before one that cannot be read have been stored by then, as in PostgreSQL.
const FAR: usize = 1000;
/// Length of a line quoted in CONTEXT.
const CONTEXT_CHARS: usize = 100;

/// How lines end; settled by the first end of line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Eol {
    Unknown,
    Lf,
    Cr,
    CrLf,
}

/// See the module.
pub struct Decoder {
    table: String,
    columns: Vec<Column>,
    style: Style,
    eol: Eol,
    /// Bytes of rows that are not complete.
    pending: Vec<u8>,
    /// How far `pending` was searched for an end of line, and whether that is inside quotes.
    scanned: usize,
    quoted: bool,
    escaped: bool,
    /// The line that is being looked for has backslashes or quotes.
    escapes: bool,
    line: u64,
    /// Where the rows of the batch being made stand, and those of the last one.
    lines: Vec<u64>,
    emitted: Vec<u64>,
    /// The beginnings of these lines, one behind the other, and where each ends.
    texts: (Vec<u8>, Vec<usize>),
    emitted_texts: (Vec<u8>, Vec<usize>),
    header_left: bool,
    binary_started: bool,
    ended: bool,
    builders: Vec<VectorBuilder>,
    rows: usize,
    /// Bytes that the rows took in the file, and the most rows of a batch.
    bytes: usize,
    most_rows: usize,
    /// Fields of a CSV or text row: range in `scratch`, `None`: NULL.
    fields: Vec<Option<(usize, usize)>>,
    scratch: Vec<u8>,
}

fn bad_format(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, message.into())
}

impl Decoder {
    /// For a table's columns, in the order of the file.
    pub fn new(table: &str, columns: Vec<Column>, options: &CopyOptions) -> Self {
        let style = Style::new(options, columns.len());
        Self {
            table: table.into(),
            builders: columns.iter().map(|c| VectorBuilder::with_capacity(c.ty, BATCH_ROWS)).collect(),
            header_left: style.header || style.header_match,
            columns,
            style,
            eol: Eol::Unknown,
            pending: Vec::new(),
            scanned: 0,
            quoted: false,
            escaped: false,
            escapes: false,
            line: 0,
            lines: Vec::with_capacity(BATCH_ROWS),
            emitted: Vec::with_capacity(BATCH_ROWS),
            texts: (Vec::new(), Vec::new()),
            emitted_texts: (Vec::new(), Vec::new()),
            binary_started: false,
            ended: false,
            rows: 0,
            bytes: 0,
            most_rows: BATCH_ROWS,
            fields: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Makes batches larger while rows are short: for a table with indexes, where rows that are sorted together go to fewer places.
    pub fn large_batches(&mut self) {
        self.most_rows = MANY_ROWS;
    }

    /// The format is binary.
    pub fn is_binary(&self) -> bool {
        self.style.format == CopyFormat::Binary
    }
    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns.len()
    }

    /// Takes a piece of the file; gives full batches to `sink`.
    pub fn push(
        &mut self,
        data: &[u8],
        settings: &FormatSettings,
        sink: &mut dyn FnMut(Batch) -> Result<()>,
    ) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        self.pending.extend_from_slice(data);
        // Taken out while rows are read from it, to be put back without what was used.
        let pending = core::mem::take(&mut self.pending);
        let mut used = 0;
        let outcome = loop {
            if self.ended {
                used = pending.len();
                break Ok(());
            }
            let rest = pending.get(used..).unwrap_or_default();
            match self.next_row(rest, settings) {
                Ok(Some(n)) => {
                    used += n;
                    self.bytes += n;
                }
                Ok(None) => break Ok(()),
                Err(e) => {
                    // What is wrong with a row far before this one is reported first.
                    let before = if self.rows >= FAR { self.emit(sink) } else { Ok(()) };
                    break before.and(Err(e));
                }
            }
            let full = self.rows >= self.most_rows || (self.rows >= BATCH_ROWS && self.bytes >= MANY_BYTES);
            if full && let Err(e) = self.emit(sink) {
                break Err(e);
            }
        };
        self.pending = pending;
        self.pending.drain(..used);
        if outcome.is_ok() && self.pending.len() > MAX_ROW {
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "COPY row is too long"));
        }
        outcome
    }

    /// The file is at its end; gives what is left.
    pub fn finish(
        &mut self,
        settings: &FormatSettings,
        sink: &mut dyn FnMut(Batch) -> Result<()>,
    ) -> Result<()> {
        if !self.ended {
            if self.is_binary() {
                if !self.binary_started || !self.pending.is_empty() {
                    return Err(bad_format("unexpected EOF in COPY data"));
                }
            } else if !self.pending.is_empty() {
                // The last line may lack its end.
                if self.quoted {
                    return Err(self.at_line(bad_format("unterminated CSV quoted field"), None));
                }
                let last = core::mem::take(&mut self.pending);
                let line = if self.eol == Eol::CrLf || self.eol == Eol::Cr {
                    last.strip_suffix(b"\r").unwrap_or(&last)
                } else {
                    &last
                };
                self.text_row(line, settings)?;
            }
        }
        if self.rows > 0 { self.emit(sink) } else { Ok(()) }
    }

    fn row_done(&mut self) {
        self.lines.push(self.line);
        self.rows += 1;
    }

    fn emit(&mut self, sink: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()> {
        let fresh = self.columns.iter().map(|c| VectorBuilder::with_capacity(c.ty, BATCH_ROWS)).collect();
        let built = core::mem::replace(&mut self.builders, fresh);
        let rows = core::mem::take(&mut self.rows);
        self.bytes = 0;
        core::mem::swap(&mut self.lines, &mut self.emitted);
        core::mem::swap(&mut self.texts, &mut self.emitted_texts);
        self.lines.clear();
        self.texts.0.clear();
        self.texts.1.clear();
        sink(Batch::new(built.into_iter().map(VectorBuilder::finish).collect(), rows))
    }

    /// Reads one row; `None`: it is not all there.
    fn next_row(&mut self, input: &[u8], settings: &FormatSettings) -> Result<Option<usize>> {
        if self.is_binary() {
            return self.binary_row(input, settings);
        }
        let Some((line, used)) = self.find_line(input)? else { return Ok(None) };
        self.scanned = 0;
        let line = input.get(..line).unwrap_or_default();
        self.text_row(line, settings)?;
        Ok(Some(used))
    }

    fn binary_row(&mut self, input: &[u8], settings: &FormatSettings) -> Result<Option<usize>> {
        if !self.binary_started {
            let Some(n) = binary::header(input)? else { return Ok(None) };
            self.binary_started = true;
            return Ok(Some(n));
        }
        match binary::row(input, &self.columns, settings, &mut self.builders) {
            Ok(binary::Row::Incomplete) => Ok(None),
            Ok(binary::Row::End) => {
                self.ended = true;
                Ok(Some(2))
            }
            Ok(binary::Row::Read(n)) => {
                self.line += 1;
                self.row_done();
                Ok(Some(n))
            }
            Err(e) => {
                self.line += 1;
                Err(self.at_line(e, None))
            }
        }
    }

    /// Length of the first line without its end, and with it.
    fn find_line(&mut self, input: &[u8]) -> Result<Option<(usize, usize)>> {
        let csv = self.style.format == CopyFormat::Csv;
        let Some(rest) = input.get(self.scanned..) else { return Ok(None) };
        let ends_at = if csv { self.skip_csv(rest) } else { self.skip_text(rest) };
        let Some(n) = ends_at else {
            self.scanned = input.len();
            return Ok(None);
        };
        let i = self.scanned + n;
        match (input.get(i), self.eol) {
            (Some(b'\n'), Eol::Unknown | Eol::Lf) => {
                self.eol = Eol::Lf;
                Ok(Some((i, i + 1)))
            }
            (Some(b'\n'), Eol::CrLf | Eol::Cr) => Err(self.stray("newline", "\\n")),
            (Some(b'\r'), Eol::Unknown | Eol::CrLf | Eol::Cr) => match (input.get(i + 1), self.eol) {
                (Some(b'\n'), Eol::Unknown | Eol::CrLf) => {
                    self.eol = Eol::CrLf;
                    Ok(Some((i, i + 2)))
                }
                (Some(_), Eol::Unknown | Eol::Cr) => {
                    self.eol = Eol::Cr;
                    Ok(Some((i, i + 1)))
                }
                (_, Eol::Cr) => Ok(Some((i, i + 1))),
                (Some(_), _) => Err(self.stray("carriage return", "\\r")),
                (None, _) => {
                    self.scanned = i;
                    Ok(None)
                }
            },
            (Some(b'\r'), Eol::Lf) => Err(self.stray("carriage return", "\\r")),
            _ => Ok(None),
        }
    }

    /// Where the next end of line stands that is not escaped.
    fn skip_text(&mut self, input: &[u8]) -> Option<usize> {
        let mut i = 0;
        if self.escaped {
            // A backslash before the end of a line makes it data.
            let b = input.first()?;
            self.escaped = false;
            i += usize::from(*b != b'\r' || self.eol != Eol::CrLf);
        }
        loop {
            i += memchr::memchr3(b'\n', b'\r', b'\\', input.get(i..)?)?;
            if input.get(i) != Some(&b'\\') {
                return Some(i);
            }
            self.escapes = true;
            match input.get(i + 1) {
                None => {
                    self.escaped = true;
                    return None;
                }
                Some(b'\r') if self.eol == Eol::CrLf => i += 1,
                Some(_) => i += 2,
            }
        }
    }

    /// Where the next end of line stands that is not quoted.
    fn skip_csv(&mut self, input: &[u8]) -> Option<usize> {
        let (quote, escape) = (self.style.quote, self.style.escape);
        let mut i = 0;
        loop {
            if self.quoted && self.escaped {
                let b = *input.get(i)?;
                self.escaped = false;
                // An escape before anything but a quote or an escape is itself.
                if b == quote || b == escape {
                    i += 1;
                } else if escape == quote {
                    self.quoted = false;
                }
                continue;
            }
            if self.quoted {
                i += memchr::memchr2(quote, escape, input.get(i..)?)?;
                if input.get(i) == Some(&escape) {
                    self.escaped = true;
                } else {
                    self.quoted = false;
                }
                i += 1;
                continue;
            }
            i += memchr::memchr3(b'\n', b'\r', quote, input.get(i..)?)?;
            if input.get(i) != Some(&quote) {
                return Some(i);
            }
            (self.quoted, self.escapes) = (true, true);
            i += 1;
        }
    }

    fn stray(&mut self, what: &str, escape: &str) -> SqlError {
        self.line += 1;
        let csv = self.style.format == CopyFormat::Csv;
        let e = if csv {
            bad_format(format!("unquoted {what} found in data"))
                .hint(format!("Use quoted CSV field to represent {what}."))
        } else {
            bad_format(format!("literal {what} found in data"))
                .hint(format!("Use \"{escape}\" to represent {what}."))
        };
        self.at_line(e, None)
    }

    fn text_row(&mut self, line: &[u8], settings: &FormatSettings) -> Result<()> {
        self.line += 1;
        (self.escaped, self.quoted) = (false, false);
        let escapes = core::mem::take(&mut self.escapes);
        if line == b"\\." {
            self.ended = true;
            return Ok(());
        }
        let text = valid_line(line).map_err(|e| self.at_line(e, None))?;
        if !self.header_left {
            // A character more than is shown, whatever they are.
            self.texts.0.extend(line.iter().take(4 * (CONTEXT_CHARS + 1)));
            self.texts.1.push(self.texts.0.len());
        }
        if !escapes && !self.header_left {
            return self.store_plain(text, settings);
        }
        self.fields.clear();
        self.scratch.clear();
        if self.style.format == CopyFormat::Csv {
            self.split_csv(line).map_err(|e| self.at_line(e, Some(line)))?;
        } else {
            self.split_text(line);
        }
        if core::mem::take(&mut self.header_left) {
            return self.check_header().map_err(|e| self.at_line(e, Some(line)));
        }
        self.store_fields(line, settings)
    }

    /// Stores a line without quotes and backslashes: its fields are pieces of it.
    fn store_plain(&mut self, line: &str, settings: &FormatSettings) -> Result<()> {
        let csv = self.style.format == CopyFormat::Csv;
        let mut rest = Some(line);
        for i in 0..self.columns.len() {
            let (Some(column), Some(builder)) = (self.columns.get(i), self.builders.get_mut(i)) else {
                break;
            };
            let Some(text) = rest else {
                let e = bad_format(format!("missing data for column \"{}\"", column.name));
                return Err(self.at_line(e, Some(line.as_bytes())));
            };
            let field = match memchr::memchr(self.style.delimiter, text.as_bytes()) {
                Some(at) => {
                    rest = text.get(at + 1..);
                    text.get(..at).unwrap_or_default()
                }
                None => {
                    rest = None;
                    text
                }
            };
            if field.as_bytes() == self.style.null
                && !(csv && self.style.force_not_null.get(i).copied().unwrap_or(false))
            {
                builder.push_null();
            } else if let Err(e) = store(builder, column, field, settings) {
                // Too many fields are reported before what is wrong with one of them.
                let delimiters = memchr::memchr_iter(self.style.delimiter, line.as_bytes()).count();
                return Err(if delimiters < self.columns.len() {
                    self.at_column(e, column, field.as_bytes())
                } else {
                    self.at_line(bad_format("extra data after last expected column"), Some(line.as_bytes()))
                });
            }
        }
        if rest.is_some() {
            let e = bad_format("extra data after last expected column");
            return Err(self.at_line(e, Some(line.as_bytes())));
        }
        self.row_done();
        Ok(())
    }

    fn check_header(&self) -> Result<()> {
        if !self.style.header_match {
            return Ok(());
        }
        if self.fields.len() != self.columns.len() {
            return Err(bad_format(format!(
                "wrong number of fields in header line: got {}, expected {}",
                self.fields.len(),
                self.columns.len()
            )));
        }
        for (i, (field, column)) in self.fields.iter().zip(&self.columns).enumerate() {
            let name = field.and_then(|(a, b)| self.scratch.get(a..b));
            if name != Some(column.name.as_bytes()) {
                let got = name
                    .map_or_else(|| "null value".into(), |n| format!("\"{}\"", String::from_utf8_lossy(n)));
                return Err(bad_format(format!(
                    "column name mismatch in header line field {}: got {got}, expected \"{}\"",
                    i + 1,
                    column.name
                )));
            }
        }
        Ok(())
    }

    fn store_fields(&mut self, line: &[u8], settings: &FormatSettings) -> Result<()> {
        if self.fields.len() > self.columns.len() {
            return Err(self.at_line(bad_format("extra data after last expected column"), Some(line)));
        }
        for i in 0..self.columns.len() {
            let Some(column) = self.columns.get(i) else { break };
            let Some(field) = self.fields.get(i) else {
                let e = bad_format(format!("missing data for column \"{}\"", column.name));
                return Err(self.at_line(e, Some(line)));
            };
            let Some(builder) = self.builders.get_mut(i) else { break };
            let Some((from, to)) = *field else {
                builder.push_null();
                continue;
            };
            // The line was checked; escapes can only have made it invalid by numbers.
            let bytes = self.scratch.get(from..to).unwrap_or_default();
            let stored = io::valid_text(bytes).and_then(|text| store(builder, column, text, settings));
            if let Err(e) = stored {
                return Err(self.at_column(e, column, bytes));
            }
        }
        self.row_done();
        Ok(())
    }

    fn push_field(&mut self, from: usize, null: bool) {
        self.fields.push((!null).then_some((from, self.scratch.len())));
    }

    fn split_text(&mut self, line: &[u8]) {
        let delimiter = self.style.delimiter;
        let mut rest = line;
        loop {
            let start = self.scratch.len();
            let mut i = 0;
            let mut escapes = false;
            while let Some(&b) = rest.get(i) {
                if b == delimiter {
                    break;
                }
                if b == b'\\' {
                    escapes = true;
                    i += 1;
                }
                i += 1;
            }
            let i = i.min(rest.len());
            let (raw, after) = rest.split_at(i);
            if raw == self.style.null {
                self.push_field(start, true);
            } else {
                if escapes {
                    unescape(raw, &mut self.scratch);
                } else {
                    self.scratch.extend_from_slice(raw);
                }
                self.push_field(start, false);
            }
            match after.split_first() {
                Some((_, tail)) => rest = tail,
                None => return,
            }
        }
    }

    fn split_csv(&mut self, line: &[u8]) -> Result<()> {
        let Style { delimiter, quote, escape, .. } = self.style;
        let mut i = 0;
        loop {
            let start = self.scratch.len();
            let mut was_quoted = false;
            let mut inside = false;
            let mut ended = true;
            while let Some(&b) = line.get(i) {
                i += 1;
                if inside {
                    let next = line.get(i).copied();
                    if b == escape && next.is_some_and(|n| n == quote || n == escape) {
                        self.scratch.extend(next);
                        i += 1;
                    } else if b == quote {
                        inside = false;
                    } else {
                        self.scratch.push(b);
                    }
                } else if b == quote {
                    was_quoted = true;
                    inside = true;
                } else if b == delimiter {
                    ended = false;
                    break;
                } else {
                    self.scratch.push(b);
                }
            }
            if inside {
                return Err(bad_format("unterminated CSV quoted field"));
            }
            let n = self.fields.len();
            let flag = |list: &[bool]| list.get(n).copied().unwrap_or(false);
            let is_null_text = self.scratch.get(start..) == Some(&self.style.null[..]);
            let null = is_null_text
                && if was_quoted { flag(&self.style.force_null) } else { !flag(&self.style.force_not_null) };
            self.push_field(start, null);
            if ended {
                return Ok(());
            }
        }
    }

    /// Adds where it happened.
    fn at_line(&self, e: SqlError, line: Option<&[u8]>) -> SqlError {
        let place = match line {
            Some(line) => format!("COPY {}, line {}: \"{}\"", self.table, self.line, shortened(line)),
            None => format!("COPY {}, line {}", self.table, self.line),
        };
        with_context(e, place)
    }

    fn at_column(&self, e: SqlError, column: &Column, bytes: &[u8]) -> SqlError {
        let text = shortened(bytes);
        with_context(
            e,
            format!("COPY {}, line {}, column {}: \"{text}\"", self.table, self.line, column.name),
        )
    }

    /// Where a row of the last batch stands, for errors met when it is stored; if it is not known which one, the last row
    /// read. `checked`: it is the row itself that is wrong, so that it is shown.
    pub fn place(&self, row: Option<usize>, checked: bool) -> String {
        let line = row.and_then(|row| self.emitted.get(row)).unwrap_or(&self.line);
        let text = row.filter(|_| checked).and_then(|row| {
            let (bytes, ends) = &self.emitted_texts;
            let start = row.checked_sub(1).map_or(Some(0), |before| ends.get(before).copied())?;
            bytes.get(start..*ends.get(row)?)
        });
        match text {
            Some(text) => format!("COPY {}, line {line}: \"{}\"", self.table, shortened(text)),
            None => format!("COPY {}, line {line}", self.table),
        }
    }
}

fn with_context(mut e: SqlError, place: String) -> SqlError {
    if e.fields().context.is_none() {
        e.fields_mut().context = Some(place);
    }
    e
}

fn shortened(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if text.chars().count() <= CONTEXT_CHARS {
        return text.into_owned();
    }
    let mut short: String = text.chars().take(CONTEXT_CHARS).collect();
    short.push_str("...");
    short
}

/// The text of a line.
fn valid_line(line: &[u8]) -> Result<&str> {
    match core::str::from_utf8(line) {
        Ok(text) if memchr::memchr(0, line).is_none() => Ok(text),
        _ => io::valid_text(line),
    }
}

/// Undoes the text format's backslash sequences.
fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    let mut bytes = raw.iter().copied().peekable();
    while let Some(b) = bytes.next() {
        if b != b'\\' {
            out.push(b);
            continue;
        }
        let Some(c) = bytes.next() else {
            out.push(b'\\');
            return;
        };
        match c {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(11),
            b'0'..=b'7' => {
                let mut n = u32::from(c - b'0');
                for _ in 0..2 {
                    let Some(d) = bytes.next_if(|d| (b'0'..=b'7').contains(d)) else { break };
                    n = n * 8 + u32::from(d - b'0');
                }
                #[allow(clippy::cast_possible_truncation, reason = "three octal digits are cut to a byte")]
                out.push(n as u8);
            }
            b'x' => {
                let mut digits = 0;
                let mut n = 0;
                while digits < 2
                    && let Some(d) = bytes.next_if(u8::is_ascii_hexdigit)
                {
                    n = n * 16 + char::from(d).to_digit(16).unwrap_or(0);
                    digits += 1;
                }
                #[allow(clippy::cast_possible_truncation, reason = "two hexadecimal digits")]
                out.push(if digits == 0 { b'x' } else { n as u8 });
            }
            other => out.push(other),
        }
    }
}
