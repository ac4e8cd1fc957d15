//! Replication connections (`replication=true`): backups and the log, for archives. Simple queries only.
//!
//! | command | answer |
//! |---|---|
//! | `IDENTIFY_SYSTEM` | a row: systemid (the volume's name, 32 hexadecimal digits), timeline, xlogpos, dbname |
//! | `SHOW name` | as in SQL |
//! | `INTRALITH_BACKUP [(LABEL 'text')]` | CopyOut of a backup in `pg_backup`'s format |
//! | `START_REPLICATION [PHYSICAL] X/X` | CopyBoth of the log from that position on, in PostgreSQL's messages |
//!
//! A stream of log ends with the connection. What a reader has not read when the log ring comes round is gone: it is told
//! (58P01), and writers are never held up.

use alloc::{format, string::String, sync::Arc, vec::Vec};
use core::time::Duration;

use pg_backup::{BackupError, back_up};
use pg_catalog::storage_error;
use pg_storage::{Lsn, ReadError, StorageError};
use pg_types::{Result, SqlError, SqlState, oid};
use pg_wire::{Encoder, Frontend, backend::FieldDescription, frame};
use platform::{
    net::{ReadOutcome, Stream},
    time,
};

use crate::{connection::Step, env, session::Session};

/// Bytes of log in a message.
const LOG_PIECE: usize = 128 << 10;
/// How often new log is looked for, and a sign of life sent.
const LOOK: Duration = Duration::from_millis(10);
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);
/// Longest message of a client while log is streamed.
const MAX_STATUS: usize = 64 << 10;

/// A command of the replication protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Command {
    IdentifySystem,
    Show,
    Backup(String),
    Start(Lsn),
}

fn syntax(near: &str) -> SqlError {
    if near.is_empty() {
        SqlError::syntax("syntax error at end of input")
    } else {
        SqlError::syntax(format!("syntax error at or near \"{near}\""))
    }
}

/// Words, quoted texts and single signs.
fn tokens(text: &str) -> Result<Vec<String>> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '\'' => {
                let close = rest
                    .get(1..)
                    .and_then(|r| r.find('\''))
                    .ok_or_else(|| SqlError::syntax("unterminated quoted string"))?;
                close + 2
            }
            c if c.is_alphanumeric() || c == '_' || c == '/' => {
                rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '/')).unwrap_or(rest.len())
            }
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        out.push(token.into());
        rest = after.trim_start();
    }
    while out.last().is_some_and(|t| t == ";") {
        out.pop();
    }
    Ok(out)
}

/// `16/B374D848`.
fn lsn(text: &str) -> Option<Lsn> {
    let (high, low) = text.split_once('/')?;
    let part = |s: &str| u32::from_str_radix(s, 16).ok().map(u64::from);
    Some(Lsn(part(high)? << 32 | part(low)?))
}

fn parse(text: &str) -> Result<Command> {
    let all = tokens(text)?;
    let words: Vec<&str> = all.iter().map(String::as_str).collect();
    let is = |n: usize, word: &str| words.get(n).is_some_and(|w| w.eq_ignore_ascii_case(word));
    let at = |n: usize| words.get(n).copied().unwrap_or_default();
    if is(0, "IDENTIFY_SYSTEM") {
        return if words.len() == 1 { Ok(Command::IdentifySystem) } else { Err(syntax(at(1))) };
    }
    if is(0, "SHOW") {
        return Ok(Command::Show);
    }
    if is(0, "INTRALITH_BACKUP") {
        return match words.get(1..).unwrap_or_default() {
            [] => Ok(Command::Backup(String::new())),
            ["(", label, value, ")"] if label.eq_ignore_ascii_case("LABEL") => {
                let value = value.strip_prefix('\'').and_then(|v| v.strip_suffix('\''));
                value.map(|v| Command::Backup(v.into())).ok_or_else(|| syntax(at(3)))
            }
            _ => Err(syntax(at(2))),
        };
    }
    if is(0, "START_REPLICATION") {
        let n = if is(1, "PHYSICAL") { 2 } else { 1 };
        if is(1, "SLOT") {
            return Err(SqlError::unsupported("replication slots"));
        }
        let position = lsn(at(n)).ok_or_else(|| syntax(at(n)))?;
        return if words.len() == n + 1 { Ok(Command::Start(position)) } else { Err(syntax(at(n + 1))) };
    }
    for other in [
        "BASE_BACKUP",
        "CREATE_REPLICATION_SLOT",
        "DROP_REPLICATION_SLOT",
        "READ_REPLICATION_SLOT",
        "TIMELINE_HISTORY",
    ] {
        if is(0, other) {
            return Err(SqlError::unsupported(other));
        }
    }
    Err(SqlError::unsupported("SQL in a replication connection"))
}

fn position(lsn: Lsn) -> String {
    format!("{lsn}")
}

/// What ends a copy early.
enum Ended {
    /// The client is gone.
    Lost,
    /// Cancelled.
    Interrupted(SqlError),
}

fn lost() -> SqlError {
    SqlError::new(SqlState::CONNECTION_EXCEPTION, "connection to client lost")
}

fn gone(from: Lsn) -> SqlError {
    SqlError::new(
        SqlState(*b"58P01"),
        format!("requested WAL at {} has already been removed", position(from)),
    )
}

impl Session {
    /// Handles a query of a replication connection.
    pub(crate) fn replication_query(&mut self, text: &str, out: &mut Encoder) -> Result<Step> {
        self.env.interrupts().clear_statement();
        let done = parse(text).and_then(|command| match command {
            Command::IdentifySystem => self.identify_system(out).map(|()| None),
            Command::Show => self.simple_query(text, out).map(Some),
            Command::Backup(label) => self.send_backup(&label, out).map(|()| None),
            Command::Start(from) => self.send_log(from, out).map(Some),
        });
        match done {
            Ok(Some(step)) => Ok(step),
            Ok(None) => {
                self.ready(out);
                Ok(Step::Flush)
            }
            Err(e) => self.simple_failed(e, out),
        }
    }

    fn identify_system(&mut self, out: &mut Encoder) -> Result<()> {
        let storage = self.engine.storage();
        let field =
            |name, ty, len| FieldDescription { name, table: 0, attnum: 0, ty, len, typmod: -1, format: 0 };
        out.row_description(
            [
                field("systemid", oid::TEXT, -1),
                field("timeline", oid::INT4, 4),
                field("xlogpos", oid::TEXT, -1),
                field("dbname", oid::TEXT, -1),
            ]
            .into_iter(),
        );
        let values =
            [format!("{:032x}", storage.volume_id()), String::from("1"), position(storage.flush_log())];
        let row = out.begin_row(4);
        for v in &values {
            out.raw().extend_from_slice(&(v.len() as u32).to_be_bytes());
            out.raw().extend_from_slice(v.as_bytes());
        }
        out.raw().extend_from_slice(&(-1_i32).to_be_bytes());
        out.end_row(row);
        out.command_complete("IDENTIFY_SYSTEM");
        Ok(())
    }

    fn client(&self) -> Result<Arc<dyn Stream>> {
        self.stream().cloned().ok_or_else(|| SqlError::internal("a replication command without a client"))
    }

    fn send_backup(&mut self, label: &str, out: &mut Encoder) -> Result<()> {
        let stream = self.client()?;
        let storage = self.engine.storage().clone();
        let interrupts = self.env.interrupts();
        out.copy_out_response(true, 0);
        let done = back_up(&storage, label, &mut |frame: &[u8]| {
            if let Some(reason) = interrupts.pending() {
                return Err(Ended::Interrupted(reason.error()));
            }
            out.copy_data(frame);
            let sent = stream.write_all(out.bytes());
            out.clear();
            sent.map_err(|_| Ended::Lost)
        });
        match done {
            Ok(end) => {
                log::info!("backup \"{label}\" ends at {}", position(end));
                out.copy_done();
                out.command_complete("INTRALITH_BACKUP");
                Ok(())
            }
            Err(BackupError::Storage(e)) => Err(storage_error(e)),
            Err(BackupError::LogGone) => Err(SqlError::new(
                SqlState(*b"58P01"),
                "the backup cannot be completed: WAL it needs has already been removed",
            )
            .hint("The log ring is too small for this load, or the receiver too slow.")),
            Err(BackupError::Label) => {
                Err(SqlError::new(SqlState(*b"22023"), "the label of the backup is too long"))
            }
            Err(BackupError::Sink(Ended::Lost)) => Err(lost()),
            Err(BackupError::Sink(Ended::Interrupted(e))) => Err(e),
        }
    }

    /// Streams the log until the client has enough.
    fn send_log(&mut self, from: Lsn, out: &mut Encoder) -> Result<Step> {
        let stream = self.client()?;
        let storage = self.engine.storage().clone();
        let read = |at: Lsn| {
            storage.read_log(at, LOG_PIECE).map_err(|e| match e {
                ReadError::Gone => gone(at),
                ReadError::Device(e) => storage_error(StorageError::Io(e)),
            })
        };
        if from > storage.flush_log() {
            return Err(SqlError::new(
                SqlState(*b"22023"),
                format!(
                    "requested starting point {} is ahead of the WAL flush position of this server {}",
                    position(from),
                    position(storage.durable_log())
                ),
            ));
        }
        read(from)?;
        out.copy_both_response();
        let mut at = from;
        let mut input = Vec::new();
        let mut told = Duration::ZERO;
        loop {
            if let Some(reason) = self.env.interrupts().pending() {
                return Err(reason.error());
            }
            let end = storage.durable_log();
            if at < end {
                let piece = read(at).inspect_err(|_| {
                    log::warn!("a reader of the log fell behind and lost its place at {}", position(at));
                })?;
                let header = [at.0.to_be_bytes(), end.0.to_be_bytes(), env::now().to_be_bytes()].concat();
                out.copy_data_parts(&[b"w", &header, &piece]);
                at = Lsn(at.0 + piece.len() as u64);
                told = time::monotonic();
            } else if time::monotonic().saturating_sub(told) >= SIGN_OF_LIFE {
                let header = [end.0.to_be_bytes(), env::now().to_be_bytes()].concat();
                out.copy_data_parts(&[b"k", &header, &[0]]);
                told = time::monotonic();
            }
            if !out.is_empty() {
                stream.write_all(out.bytes()).map_err(|_| lost())?;
                out.clear();
            }
            let wait = if at < storage.durable_log() { Duration::ZERO } else { LOOK };
            if stream.wait_readable(Some(wait)).map_err(|_| lost())? && client_is_done(&*stream, &mut input)?
            {
                out.copy_done();
                out.command_complete("START_REPLICATION");
                return Ok(Step::Close);
            }
        }
    }
}

/// Takes what the client said: does it want no more?
fn client_is_done(stream: &dyn Stream, input: &mut Vec<u8>) -> Result<bool> {
    let mut piece = [0; 4096];
    match stream.try_read(&mut piece).map_err(|_| lost())? {
        ReadOutcome::Data(n) => input.extend_from_slice(piece.get(..n).unwrap_or_default()),
        ReadOutcome::WouldBlock => return Ok(false),
        ReadOutcome::Eof => return Err(lost()),
    }
    let mut used = 0;
    let mut done = false;
    while let Some((packet, n)) = frame::split(input.get(used..).unwrap_or_default(), MAX_STATUS)? {
        used += n;
        match Frontend::decode(packet)? {
            // How far it has got: nothing here depends on it.
            Frontend::CopyData(_) => {}
            Frontend::CopyDone | Frontend::Terminate => done = true,
            Frontend::CopyFail(reason) => {
                return Err(SqlError::new(SqlState::QUERY_CANCELED, format!("COPY failed: {reason}")));
            }
            _ => {
                return Err(SqlError::new(
                    SqlState::PROTOCOL_VIOLATION,
                    "unexpected message type while log is streamed",
                ));
            }
        }
    }
    input.drain(..used);
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands() {
        assert_eq!(parse("IDENTIFY_SYSTEM;").unwrap(), Command::IdentifySystem);
        assert_eq!(parse("show port").unwrap(), Command::Show);
        assert_eq!(parse("INTRALITH_BACKUP").unwrap(), Command::Backup(String::new()));
        assert_eq!(parse("intralith_backup (label 'a b')").unwrap(), Command::Backup(String::from("a b")));
        let start = Command::Start(Lsn(0x16_0000_00ff));
        assert_eq!(parse("START_REPLICATION PHYSICAL 16/FF").unwrap(), start);
        assert_eq!(parse("START_REPLICATION 16/FF").unwrap(), start);
        for wrong in
            ["INTRALITH_BACKUP (", "INTRALITH_BACKUP LABEL 'x'", "START_REPLICATION", "IDENTIFY_SYSTEM 1"]
        {
            assert_eq!(parse(wrong).unwrap_err().state(), SqlState::SYNTAX_ERROR, "{wrong}");
        }
        for refused in ["SELECT 1", "BASE_BACKUP", "START_REPLICATION SLOT x 0/0"] {
            assert_eq!(parse(refused).unwrap_err().state(), SqlState(*b"0A000"), "{refused}");
        }
    }
}
