//! What the server says: appended to one buffer, sent when the session decides to.

use alloc::vec::Vec;

use pg_encoding::Encoding;
use pg_types::{Result, SqlError, SqlState, oid::Oid};

/// Severity of an error or notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the protocol's names")]
pub enum Severity {
    Debug,
    Log,
    Info,
    Notice,
    Warning,
    Error,
    Fatal,
    Panic,
}

impl Severity {
    /// As written in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Log => "LOG",
            Self::Info => "INFO",
            Self::Notice => "NOTICE",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
            Self::Panic => "PANIC",
        }
    }
}

/// Transaction status in ReadyForQuery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not in a transaction block.
    Idle,
    /// In one.
    InTransaction,
    /// In a failed one.
    Failed,
}

/// One column of a RowDescription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldDescription<'a> {
    /// Name.
    pub name: &'a str,
    /// Table it stems from, or 0.
    pub table: Oid,
    /// Its attribute number there, or 0.
    pub attnum: i16,
    /// Type.
    pub ty: Oid,
    /// `pg_type.typlen`.
    pub len: i16,
    /// Type modifier.
    pub typmod: i32,
    /// 0 text, 1 binary.
    pub format: i16,
}

/// How the length of a message under construction will be found again.
#[derive(Clone, Copy, Debug)]
#[must_use = "a message must be ended"]
pub struct Mark(usize);

/// The output buffer of a connection.
#[derive(Debug, Default)]
pub struct Encoder {
    buf: Vec<u8>,
    /// End of the last complete message.
    complete: usize,
    /// Where the last CommandComplete that waits began.
    command: Option<usize>,
    /// What text is converted to.
    encoding: Option<Encoding>,
}

impl Encoder {
    /// Empty; allocates on first use.
    pub const fn new() -> Self {
        Self { buf: Vec::new(), complete: 0, command: None, encoding: None }
    }
    /// Text is converted to this from now on; `None`: it goes as it is.
    pub fn set_encoding(&mut self, encoding: Option<Encoding>) {
        self.encoding = encoding;
    }
    /// What text is converted to.
    pub fn encoding(&self) -> Option<Encoding> {
        self.encoding
    }
    /// What waits to be sent.
    pub fn bytes(&self) -> &[u8] {
        &self.buf
    }
    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.buf.is_empty()
    }
    /// How much waits.
    pub fn len(&self) -> usize {
        self.buf.len()
    }
    /// Forgets what was sent.
    pub fn clear(&mut self) {
        self.buf.clear();
        self.complete = 0;
        self.command = None;
    }
    /// Takes back the CommandComplete that was said last: the statement failed after all, when its transaction ended.
    pub fn withdraw_command_complete(&mut self) {
        let Some(start) = self.command.take() else { return };
        let length = self.buf.get(start + 1..).and_then(|b| b.first_chunk()).map(|b| u32::from_be_bytes(*b));
        if length.is_some_and(|n| start + 1 + n as usize == self.buf.len()) {
            self.buf.truncate(start);
            self.complete = start;
        }
    }
    /// Takes back a message that was begun and not ended.
    pub fn discard_partial(&mut self) {
        self.buf.truncate(self.complete);
    }
    /// Gives memory beyond `keep` bytes back.
    pub fn shrink(&mut self, keep: usize) {
        if self.buf.capacity() > keep {
            self.buf.shrink_to(keep);
        }
    }
    /// The buffer itself, for value writers. Only between `begin_row` and `end_row` or inside a COPY row.
    pub fn raw(&mut self) -> &mut Vec<u8> {
        &mut self.buf
    }

    fn begin(&mut self, tag: u8) -> Mark {
        self.buf.extend_from_slice(&[tag, 0, 0, 0, 0]);
        Mark(self.buf.len() - 4)
    }
    fn end(&mut self, mark: Mark) {
        // A message beyond 2 GiB cannot be framed; values are limited to 1 GiB each well before.
        let len = u32::try_from(self.buf.len() - mark.0).unwrap_or(u32::MAX);
        if let Some(slot) = self.buf.get_mut(mark.0..mark.0 + 4) {
            slot.copy_from_slice(&len.to_be_bytes());
        }
        self.complete = self.buf.len();
    }
    fn empty(&mut self, tag: u8) {
        self.buf.extend_from_slice(&[tag, 0, 0, 0, 4]);
        self.complete = self.buf.len();
    }
    fn str(&mut self, s: &str) {
        match self.encoding {
            None => self.buf.extend_from_slice(s.as_bytes()),
            // Names, and words of errors: they are better with a mark than not told.
            Some(encoding) => self.buf.extend_from_slice(&encoding.encode_lossy(s)),
        }
        self.buf.push(0);
    }
    fn i16(&mut self, v: i16) {
        self.buf.extend_from_slice(&v.to_be_bytes());
    }
    fn u32(&mut self, v: u32) {
        self.buf.extend_from_slice(&v.to_be_bytes());
    }
    /// A count field: the protocol has 16 bits and the engine no more columns or parameters than that.
    fn count(&mut self, n: usize) {
        self.buf.extend_from_slice(&u16::try_from(n).unwrap_or(u16::MAX).to_be_bytes());
    }

    /// The one-byte answer `N` to SSLRequest and GSSENCRequest.
    pub fn refuse_encryption(&mut self) {
        self.buf.push(b'N');
        self.complete = self.buf.len();
    }
    /// NegotiateProtocolVersion: we speak 3.0; `unknown` lists protocol options we do not know.
    pub fn negotiate_version(&mut self, unknown: &[&str]) {
        let m = self.begin(b'v');
        self.u32(0);
        self.u32(u32::try_from(unknown.len()).unwrap_or(0));
        for name in unknown {
            self.str(name);
        }
        self.end(m);
    }
    /// AuthenticationOk.
    pub fn authentication_ok(&mut self) {
        let m = self.begin(b'R');
        self.u32(0);
        self.end(m);
    }
    /// AuthenticationSASL with the mechanisms on offer.
    pub fn authentication_sasl(&mut self, mechanisms: &[&str]) {
        let m = self.begin(b'R');
        self.u32(10);
        for name in mechanisms {
            self.str(name);
        }
        self.buf.push(0);
        self.end(m);
    }
    /// AuthenticationSASLContinue.
    pub fn authentication_sasl_continue(&mut self, data: &[u8]) {
        let m = self.begin(b'R');
        self.u32(11);
        self.buf.extend_from_slice(data);
        self.end(m);
    }
    /// AuthenticationSASLFinal.
    pub fn authentication_sasl_final(&mut self, data: &[u8]) {
        let m = self.begin(b'R');
        self.u32(12);
        self.buf.extend_from_slice(data);
        self.end(m);
    }
    /// BackendKeyData.
    pub fn backend_key_data(&mut self, pid: u32, secret: u32) {
        let m = self.begin(b'K');
        self.u32(pid);
        self.u32(secret);
        self.end(m);
    }
    /// ParameterStatus.
    pub fn parameter_status(&mut self, name: &str, value: &str) {
        let m = self.begin(b'S');
        self.str(name);
        self.str(value);
        self.end(m);
    }
    /// ReadyForQuery.
    pub fn ready_for_query(&mut self, status: Status) {
        let s = match status {
            Status::Idle => b'I',
            Status::InTransaction => b'T',
            Status::Failed => b'E',
        };
        self.buf.extend_from_slice(&[b'Z', 0, 0, 0, 5, s]);
        self.complete = self.buf.len();
    }
    /// ParseComplete.
    pub fn parse_complete(&mut self) {
        self.empty(b'1');
    }
    /// BindComplete.
    pub fn bind_complete(&mut self) {
        self.empty(b'2');
    }
    /// CloseComplete.
    pub fn close_complete(&mut self) {
        self.empty(b'3');
    }
    /// FunctionCallResponse; `None`: NULL.
    pub fn function_result(&mut self, value: Option<&[u8]>) {
        let m = self.begin(b'V');
        let length = value.map_or(u32::MAX, |v| u32::try_from(v.len()).unwrap_or(u32::MAX));
        self.u32(length);
        self.buf.extend_from_slice(value.unwrap_or_default());
        self.end(m);
    }
    /// NoData.
    pub fn no_data(&mut self) {
        self.empty(b'n');
    }
    /// PortalSuspended.
    pub fn portal_suspended(&mut self) {
        self.empty(b's');
    }
    /// EmptyQueryResponse.
    pub fn empty_query(&mut self) {
        self.empty(b'I');
    }
    /// ParameterDescription.
    pub fn parameter_description(&mut self, types: impl ExactSizeIterator<Item = Oid>) {
        let m = self.begin(b't');
        self.count(types.len());
        for t in types {
            self.u32(t);
        }
        self.end(m);
    }
    /// RowDescription.
    pub fn row_description<'a>(&mut self, fields: impl ExactSizeIterator<Item = FieldDescription<'a>>) {
        let m = self.begin(b'T');
        self.count(fields.len());
        for f in fields {
            self.str(f.name);
            self.u32(f.table);
            self.i16(f.attnum);
            self.u32(f.ty);
            self.i16(f.len);
            self.buf.extend_from_slice(&f.typmod.to_be_bytes());
            self.i16(f.format);
        }
        self.end(m);
    }

    /// Says again what was said before: one whole message.
    pub fn repeat(&mut self, message: &[u8]) {
        self.buf.extend_from_slice(message);
        self.complete = self.buf.len();
    }

    /// Starts a DataRow of so many columns; each is then written with [`Encoder::null`] or [`Encoder::value`].
    pub fn begin_row(&mut self, columns: usize) -> Mark {
        let m = self.begin(b'D');
        self.count(columns);
        m
    }
    /// A NULL column.
    pub fn null(&mut self) {
        self.u32(u32::MAX);
    }
    /// A column of known bytes.
    pub fn value(&mut self, bytes: &[u8]) {
        self.u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.buf.extend_from_slice(bytes);
    }
    /// A column that `write` appends; its length is filled in afterwards.
    pub fn value_with(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        let at = self.buf.len();
        self.u32(0);
        write(&mut self.buf)?;
        self.finish_value(at);
        Ok(())
    }
    /// As [`Encoder::value_with`], for UTF-8, which is converted to the client's encoding.
    ///
    /// # Errors
    /// As [`Encoding::encode`].
    pub fn text_with(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        let at = self.buf.len();
        self.u32(0);
        write(&mut self.buf)?;
        if let Some(encoding) = self.encoding {
            convert_tail(&mut self.buf, at + 4, encoding)?;
        }
        self.finish_value(at);
        Ok(())
    }
    fn finish_value(&mut self, at: usize) {
        let len = u32::try_from(self.buf.len() - at - 4).unwrap_or(u32::MAX);
        if let Some(slot) = self.buf.get_mut(at..at + 4) {
            slot.copy_from_slice(&len.to_be_bytes());
        }
    }
    /// Ends a DataRow.
    pub fn end_row(&mut self, mark: Mark) {
        self.end(mark);
    }

    /// CommandComplete with a tag as it stands.
    pub fn command_complete(&mut self, tag: &str) {
        self.command = Some(self.buf.len());
        let m = self.begin(b'C');
        self.str(tag);
        self.end(m);
    }
    /// CommandComplete with a row count: `SELECT 5`, `INSERT 0 1`.
    pub fn command_complete_rows(&mut self, command: &str, rows: u64) {
        self.command = Some(self.buf.len());
        let m = self.begin(b'C');
        self.buf.extend_from_slice(command.as_bytes());
        self.buf.push(b' ');
        let mut digits = itoa::Buffer::new();
        self.str(digits.format(rows));
        self.end(m);
    }

    /// CopyInResponse.
    pub fn copy_in_response(&mut self, binary: bool, columns: usize) {
        self.copy_response(b'G', binary, columns);
    }
    /// CopyOutResponse.
    pub fn copy_out_response(&mut self, binary: bool, columns: usize) {
        self.copy_response(b'H', binary, columns);
    }
    fn copy_response(&mut self, tag: u8, binary: bool, columns: usize) {
        let m = self.begin(tag);
        self.buf.push(u8::from(binary));
        self.count(columns);
        for _ in 0..columns.min(usize::from(u16::MAX)) {
            self.i16(i16::from(binary));
        }
        self.end(m);
    }
    /// CopyData.
    pub fn copy_data(&mut self, data: &[u8]) {
        let m = self.begin(b'd');
        self.buf.extend_from_slice(data);
        self.end(m);
    }
    /// CopyData that is written where it is sent from, as UTF-8 if it is to be converted.
    ///
    /// # Errors
    /// As [`Encoding::encode`].
    pub fn copy_data_with(
        &mut self,
        encoding: Option<Encoding>,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<()> {
        let m = self.begin(b'd');
        write(&mut self.buf);
        if let Some(encoding) = encoding {
            convert_tail(&mut self.buf, m.0 + 4, encoding)?;
        }
        self.end(m);
        Ok(())
    }
    /// CopyBothResponse, binary.
    pub fn copy_both_response(&mut self) {
        self.copy_response(b'W', true, 0);
    }
    /// CopyData of several parts.
    pub fn copy_data_parts(&mut self, parts: &[&[u8]]) {
        let m = self.begin(b'd');
        for p in parts {
            self.buf.extend_from_slice(p);
        }
        self.end(m);
    }
    /// CopyDone.
    pub fn copy_done(&mut self) {
        self.empty(b'c');
    }
    /// NotificationResponse.
    pub fn notification(&mut self, pid: u32, channel: &str, payload: &str) {
        let m = self.begin(b'A');
        self.u32(pid);
        self.str(channel);
        self.str(payload);
        self.end(m);
    }

    /// ErrorResponse (severity Error and above) or NoticeResponse.
    pub fn report(&mut self, severity: Severity, e: &SqlError) {
        let m = self.begin(if severity >= Severity::Error { b'E' } else { b'N' });
        self.field(b'S', severity.as_str());
        self.field(b'V', severity.as_str());
        self.field(b'C', e.state().as_str());
        self.field(b'M', e.message());
        let f = e.fields();
        let optional = [
            (b'D', &f.detail),
            (b'H', &f.hint),
            (b'W', &f.context),
            (b's', &f.schema),
            (b't', &f.table),
            (b'c', &f.column),
            (b'd', &f.data_type),
            (b'n', &f.constraint),
        ];
        for (code, text) in optional {
            if let Some(text) = text {
                self.field(code, text);
            }
        }
        if let Some(routine) = f.routine {
            self.field(b'R', routine);
        }
        if f.position > 0 {
            let mut digits = itoa::Buffer::new();
            self.field(b'P', digits.format(f.position));
        }
        self.buf.push(0);
        self.end(m);
    }
    fn field(&mut self, code: u8, text: &str) {
        self.buf.push(code);
        match self.encoding {
            // A zero byte inside would end the field early.
            None => self.buf.extend(text.bytes().filter(|b| *b != 0)),
            Some(encoding) => self.buf.extend(encoding.encode_lossy(text).iter().filter(|b| **b != 0)),
        }
        self.buf.push(0);
    }
    /// A notice of success-class severity made of a message alone.
    pub fn notice(&mut self, severity: Severity, state: SqlState, message: &'static str) {
        self.report(severity, &SqlError::new(state, message));
    }
}

/// Converts what the buffer has from `at` on.
fn convert_tail(buf: &mut Vec<u8>, at: usize, encoding: Encoding) -> Result<()> {
    let tail = buf.get(at..).unwrap_or_default();
    if tail.is_ascii() {
        return Ok(());
    }
    let converted = encoding.encode(pg_types::io::valid_text(tail)?)?.into_owned();
    buf.truncate(at);
    buf.extend_from_slice(&converted);
    Ok(())
}
