//! Transactions, settings, prepared statements, cursors, maintenance.

use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    vec::Vec,
};

use pg_plan::{
    statement::{Isolation, Modes, Transaction},
    utility::{Fetch, FetchDirection, Set, Utility},
};
use pg_types::SqlError;
use sqlparser::{ast as sq, parser::Parser, tokenizer::Token};

use super::{Cursor, Parsed, Statement, copy, utility};
use crate::{
    api::StatementKind,
    ast::{Ast, NameAt, VacuumOptions, discard},
};

fn ready(u: Utility, tag: &'static str) -> Statement {
    utility(Ast::Ready(Box::new(u)), tag)
}

fn transaction(t: Transaction, tag: &'static str) -> Statement {
    (Ast::Ready(Box::new(Utility::Transaction(t.clone()))), StatementKind::Transaction(t), tag)
}

/// `None`: the word begins no statement of this kind.
pub(super) fn statement(c: &mut Cursor<'_>, word: &str) -> Parsed<Option<Statement>> {
    let parse = match word {
        "begin" | "start" => begin,
        "commit" | "end" => commit,
        "rollback" | "abort" => rollback,
        "savepoint" => savepoint,
        "release" => release,
        "set" => set,
        "show" => show,
        "reset" => reset,
        "discard" => discard_statement,
        "listen" => listen,
        "unlisten" => unlisten,
        "notify" => notify,
        "prepare" => prepare,
        "execute" => execute,
        "deallocate" => deallocate,
        "declare" => declare,
        "fetch" | "move" => fetch,
        "close" => close,
        "copy" => copy::statement,
        "vacuum" => vacuum,
        "analyze" | "analyse" => analyze,
        "lock" => lock,
        "checkpoint" => checkpoint,
        _ => return Ok(None),
    };
    parse(c).map(Some)
}

fn work(c: &mut Cursor<'_>) {
    if !c.accept("work") {
        c.accept("transaction");
    }
}

/// ISOLATION LEVEL ..., READ ONLY, ... with or without commas.
fn modes(c: &mut Cursor<'_>) -> Parsed<Modes> {
    let mut modes = Modes::default();
    loop {
        if c.accept_all(&["isolation", "level"]) {
            modes.isolation = Some(if c.accept("serializable") {
                Isolation::Serializable
            } else if c.accept_all(&["repeatable", "read"]) {
                Isolation::RepeatableRead
            } else if c.accept_all(&["read", "committed"]) {
                Isolation::ReadCommitted
            } else if c.accept_all(&["read", "uncommitted"]) {
                Isolation::ReadUncommitted
            } else {
                return c.unexpected();
            });
        } else if c.accept_all(&["read", "only"]) {
            modes.read_only = Some(true);
        } else if c.accept_all(&["read", "write"]) {
            modes.read_only = Some(false);
        } else if c.accept_all(&["not", "deferrable"]) {
            modes.deferrable = Some(false);
        } else if c.accept("deferrable") {
            modes.deferrable = Some(true);
        } else {
            return Ok(modes);
        }
        if c.accept_symbol(&Token::Comma) && c.at_end() {
            return c.unexpected();
        }
    }
}

fn begin(c: &mut Cursor<'_>) -> Parsed<Statement> {
    let tag = if c.accept("start") {
        c.expect("transaction")?;
        "START TRANSACTION"
    } else {
        c.expect("begin")?;
        work(c);
        "BEGIN"
    };
    Ok(transaction(Transaction::Begin(modes(c)?, tag), tag))
}

fn chain(c: &mut Cursor<'_>) -> Parsed<bool> {
    if !c.accept("and") {
        return Ok(false);
    }
    let no = c.accept("no");
    c.expect("chain")?;
    Ok(!no)
}

fn commit(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.parser.advance_token();
    if c.peek_is(0, "prepared") {
        c.parser.advance_token();
        return Ok(transaction(Transaction::CommitPrepared(c.string()?), "COMMIT PREPARED"));
    }
    work(c);
    let chain = chain(c)?;
    Ok(transaction(Transaction::Commit { chain }, "COMMIT"))
}

fn rollback(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.parser.advance_token();
    if c.peek_is(0, "prepared") {
        c.parser.advance_token();
        return Ok(transaction(Transaction::RollbackPrepared(c.string()?), "ROLLBACK PREPARED"));
    }
    work(c);
    if c.accept("to") {
        c.accept("savepoint");
        let name = c.ident()?;
        return Ok(transaction(Transaction::RollbackTo(name), "ROLLBACK"));
    }
    let chain = chain(c)?;
    Ok(transaction(Transaction::Rollback { chain }, "ROLLBACK"))
}

fn savepoint(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.parser.advance_token();
    let name = c.ident()?;
    Ok(transaction(Transaction::Savepoint(name), "SAVEPOINT"))
}

fn release(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.parser.advance_token();
    c.accept("savepoint");
    let name = c.ident()?;
    Ok(transaction(Transaction::Release(name), "RELEASE"))
}

/// A setting's name, with dots.
fn setting_name(c: &mut Cursor<'_>) -> Parsed<String> {
    let mut name = c.any_word()?;
    while c.accept_symbol(&Token::Period) {
        name.push('.');
        name.push_str(&c.any_word()?);
    }
    name.make_ascii_lowercase();
    Ok(name)
}

fn set(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.expect("set")?;
    let mut local = false;
    if c.accept_all(&["session", "characteristics", "as", "transaction"]) {
        return Ok(ready(Utility::SetTransaction { session: true, modes: modes(c)? }, "SET"));
    }
    if c.peek_is(0, "transaction") && !c.peek_is(1, "to") {
        c.parser.advance_token();
        if c.accept("snapshot") {
            return Err(SqlError::unsupported("SET TRANSACTION SNAPSHOT").into());
        }
        return Ok(ready(Utility::SetTransaction { session: false, modes: modes(c)? }, "SET"));
    }
    if c.accept_all(&["session", "authorization"]) {
        return super::grant::set_role(c, true, false);
    }
    if c.accept("local") {
        local = true;
        if c.accept_all(&["session", "authorization"]) {
            return super::grant::set_role(c, true, true);
        }
    } else if c.peek_is(0, "session") && !c.peek_is(1, "to") {
        c.parser.advance_token();
    }
    let (name, values) = if c.accept_all(&["time", "zone"]) {
        let values = if c.accept("local") {
            Vec::new()
        } else if c.accept("interval") {
            Vec::from([zone_interval(c)?])
        } else {
            set_values(c)?
        };
        ("timezone".to_string(), values)
    } else if c.accept("names") {
        ("client_encoding".to_string(), if c.at_end() { Vec::new() } else { set_values(c)? })
    } else if c.accept("schema") {
        ("search_path".to_string(), Vec::from([c.string()?]))
    } else if c.accept("role") {
        return super::grant::set_role(c, false, local);
    } else if c.accept("authorization") {
        return super::grant::set_role(c, true, local);
    } else if c.peek_is(0, "constraints") {
        c.parser.advance_token();
        return set_constraints(c);
    } else {
        let name = setting_name(c)?;
        if !c.accept("to") {
            c.symbol(&Token::Eq)?;
        }
        (name, set_values(c)?)
    };
    Ok(ready(Utility::Set(Set { name, values, local }), "SET"))
}

fn set_constraints(c: &mut Cursor<'_>) -> Parsed<Statement> {
    let names = if c.accept("all") {
        None
    } else {
        let mut names = Vec::new();
        loop {
            names.push(super::name_of(&c.parser.parse_object_name(false)?)?.name);
            if !c.accept_symbol(&Token::Comma) {
                break Some(names);
            }
        }
    };
    let deferred = c.accept("deferred");
    if !deferred {
        c.expect("immediate")?;
    }
    Ok(ready(
        Utility::SetConstraints(pg_plan::utility::SetConstraints { names, deferred }),
        "SET CONSTRAINTS",
    ))
}

/// A time zone as an interval, after the word: as hours.
fn zone_interval(c: &mut Cursor<'_>) -> Parsed<String> {
    use pg_types::datetime::fields::{FULL_RANGE, HOUR, MINUTE};
    let precision = if c.accept_symbol(&Token::LParen) {
        let at = c.here();
        let digits = c.option_value()?;
        c.symbol(&Token::RParen)?;
        let n = digits.parse::<i32>().map_err(|_| SqlError::syntax("invalid precision").at(at))?;
        Some(n.clamp(0, 6))
    } else {
        None
    };
    let text = c.string()?;
    let at = c.here();
    let fields = if c.at_end() {
        FULL_RANGE
    } else if c.accept_all(&["hour", "to", "minute"]) {
        HOUR | MINUTE
    } else if c.accept("hour") && !c.peek_is(0, "to") {
        HOUR
    } else {
        return Err(SqlError::syntax("time zone interval must be HOUR or HOUR TO MINUTE").at(at).into());
    };
    let typmod = match (fields, precision) {
        (FULL_RANGE, None) => -1,
        _ => fields << 16 | precision.unwrap_or(0xffff),
    };
    let format = pg_types::format::FormatSettings::default();
    let interval = pg_types::datetime::interval_in(&text, typmod, &format)?;
    let refused = |unit: &str| {
        let ty = pg_types::SqlType::new(pg_types::oid::INTERVAL);
        let shown = pg_types::io::output_string(&pg_types::Value::Interval(interval), ty, &format);
        let text = format!("invalid value for parameter \"TimeZone\": \"INTERVAL '{shown}'\"");
        SqlError::new(pg_types::SqlState::INVALID_PARAMETER_VALUE, text)
            .detail(format!("Cannot specify {unit} in time zone interval."))
    };
    if interval.months != 0 {
        return Err(refused("months").into());
    }
    if interval.days != 0 {
        return Err(refused("days").into());
    }
    Ok(format!("{}", interval.micros as f64 / 3_600_000_000.0))
}

/// Empty for DEFAULT.
pub(super) fn set_values(c: &mut Cursor<'_>) -> Parsed<Vec<String>> {
    if c.accept("default") {
        return Ok(Vec::new());
    }
    let mut values = Vec::new();
    loop {
        values.push(c.option_value()?);
        if !c.accept_symbol(&Token::Comma) {
            return Ok(values);
        }
    }
}

pub(super) fn special_setting(c: &mut Cursor<'_>) -> Parsed<String> {
    Ok(if c.accept_all(&["time", "zone"]) {
        "timezone".to_string()
    } else if c.accept_all(&["transaction", "isolation", "level"]) {
        "transaction_isolation".to_string()
    } else if c.accept_all(&["session", "authorization"]) {
        "session_authorization".to_string()
    } else {
        setting_name(c)?
    })
}

fn show(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.parser.advance_token();
    let name = if c.accept("all") { None } else { Some(special_setting(c)?) };
    Ok(ready(Utility::Show(name), "SHOW"))
}

fn reset(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.parser.advance_token();
    let name = if c.accept("all") { None } else { Some(special_setting(c)?) };
    Ok(ready(Utility::Reset(name), "RESET"))
}

fn listen(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.expect("listen")?;
    Ok(ready(Utility::Listen(c.ident()?), "LISTEN"))
}

fn unlisten(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.expect("unlisten")?;
    let channel = if c.accept_symbol(&Token::Mul) { None } else { Some(c.ident()?) };
    Ok(ready(Utility::Unlisten(channel), "UNLISTEN"))
}

fn notify(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.expect("notify")?;
    let channel = c.ident()?;
    let payload = if c.accept_symbol(&Token::Comma) { c.string()? } else { String::new() };
    Ok(ready(Utility::Notify { channel, payload }, "NOTIFY"))
}

fn discard_statement(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.parser.advance_token();
    let Some(what) = c.peek_word().and_then(|w| discard(&w)) else { return c.unexpected() };
    c.parser.advance_token();
    let tag = match what {
        pg_plan::utility::Discard::All => "DISCARD ALL",
        pg_plan::utility::Discard::Plans => "DISCARD PLANS",
        pg_plan::utility::Discard::Sequences => "DISCARD SEQUENCES",
        pg_plan::utility::Discard::Temp => "DISCARD TEMP",
    };
    Ok(ready(Utility::Discard(what), tag))
}

fn prepare(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.parser.advance_token();
    if c.peek_is(0, "transaction") {
        c.parser.advance_token();
        return Ok(transaction(Transaction::Prepare(c.string()?), "PREPARE TRANSACTION"));
    }
    let name = c.ident()?;
    let mut types: Vec<sq::DataType> = Vec::new();
    if c.accept_symbol(&Token::LParen) {
        types = c.parser.parse_comma_separated(Parser::parse_data_type)?;
        c.symbol(&Token::RParen)?;
    }
    c.expect("as")?;
    let from = c.offset();
    let (inner, kind, _) = super::statement(c)?;
    if matches!(kind, StatementKind::Transaction(_) | StatementKind::Utility)
        || matches!(inner, Ast::Explain(..))
    {
        return c.unexpected();
    }
    let statement = c.rest_of_statement(from);
    Ok(utility(Ast::Prepare { name, types, statement }, "PREPARE"))
}

fn execute(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.parser.advance_token();
    let name = c.ident()?;
    let args = arguments(c)?;
    Ok(utility(Ast::Execute { name, args }, "EXECUTE"))
}

/// The arguments of EXECUTE, if there are any.
pub(super) fn arguments(c: &mut Cursor<'_>) -> Parsed<Vec<sq::Expr>> {
    let mut args = Vec::new();
    if c.accept_symbol(&Token::LParen) {
        args = c.parser.parse_comma_separated0(Parser::parse_expr, Token::RParen)?;
        c.symbol(&Token::RParen)?;
    }
    Ok(args)
}

fn deallocate(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.parser.advance_token();
    c.accept("prepare");
    if c.accept("all") {
        return Ok(ready(Utility::Deallocate(None), "DEALLOCATE ALL"));
    }
    let name = c.ident()?;
    Ok(ready(Utility::Deallocate(Some(name)), "DEALLOCATE"))
}

fn declare(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.parser.advance_token();
    let name = c.ident()?;
    let (mut binary, mut scroll) = (false, None);
    loop {
        if c.accept("binary") {
            binary = true;
        } else if c.accept("insensitive") || c.accept("asensitive") {
        } else if c.accept("scroll") {
            scroll = Some(true);
        } else if c.accept_all(&["no", "scroll"]) {
            scroll = Some(false);
        } else {
            break;
        }
    }
    c.expect("cursor")?;
    let hold = c.accept_all(&["with", "hold"]);
    if !hold {
        c.accept_all(&["without", "hold"]);
    }
    c.expect("for")?;
    let query = c.parser.parse_query()?;
    Ok(utility(Ast::Declare { name, query, binary, scroll, hold }, "DECLARE CURSOR"))
}

fn fetch(c: &mut Cursor<'_>) -> Parsed<Statement> {
    let move_only = c.accept("move");
    if !move_only {
        c.expect("fetch")?;
    }
    use FetchDirection::{Absolute, All, Relative, RelativeOne};
    let number = |c: &Cursor<'_>| {
        matches!(c.parser.peek_token_ref().token, Token::Number(..) | Token::Minus | Token::Plus)
    };
    let direction = if c.accept("next") {
        Relative(1)
    } else if c.accept("prior") {
        Relative(-1)
    } else if c.accept("first") {
        Absolute(1)
    } else if c.accept("last") {
        Absolute(-1)
    } else if c.accept("absolute") {
        Absolute(c.integer()?)
    } else if c.accept("relative") {
        RelativeOne(c.integer()?)
    } else if c.accept("all") {
        All { backward: false }
    } else if c.peek_is(0, "forward") || c.peek_is(0, "backward") {
        let backward = c.accept("backward") || !c.accept("forward");
        if c.accept("all") {
            All { backward }
        } else {
            let count = if number(c) { c.integer()? } else { 1 };
            Relative(if backward { count.saturating_neg() } else { count })
        }
    } else if number(c) {
        Relative(c.integer()?)
    } else {
        Relative(1)
    };
    if !c.accept("from") {
        c.accept("in");
    }
    let name = c.ident()?;
    let tag = if move_only { "MOVE" } else { "FETCH" };
    Ok(ready(Utility::Fetch(Fetch { name, direction, move_only }), tag))
}

fn close(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.parser.advance_token();
    if c.accept("all") {
        return Ok(ready(Utility::Close(None), "CLOSE CURSOR ALL"));
    }
    let name = c.ident()?;
    Ok(ready(Utility::Close(Some(name)), "CLOSE CURSOR"))
}

fn targets(c: &mut Cursor<'_>) -> Parsed<Vec<(NameAt, Vec<sq::Ident>)>> {
    let mut targets = Vec::new();
    if c.at_end() {
        return Ok(targets);
    }
    loop {
        let name = c.name()?;
        let columns = if c.parser.peek_token_ref().token == Token::LParen {
            c.idents_in_parentheses()?
        } else {
            Vec::new()
        };
        targets.push((name, columns));
        if !c.accept_symbol(&Token::Comma) {
            return Ok(targets);
        }
    }
}

fn vacuum(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.parser.advance_token();
    let mut options = VacuumOptions::default();
    if c.accept_symbol(&Token::LParen) {
        loop {
            let name = c.any_word()?;
            match name.as_str() {
                "analyze" | "analyse" => options.analyze = c.option_flag()?,
                "full" => options.full = c.option_flag()?,
                "freeze" => options.freeze = c.option_flag()?,
                "verbose" => options.verbose = c.option_flag()?,
                // How the work is divided up, not what is done.
                "skip_locked" | "truncate" | "process_toast" | "disable_page_skipping" => {
                    c.option_flag()?;
                }
                "index_cleanup" | "parallel" => {
                    c.option_value()?;
                }
                _ => {
                    return Err(SqlError::syntax(format!("unrecognized VACUUM option \"{name}\"")).into());
                }
            }
            if !c.accept_symbol(&Token::Comma) {
                break;
            }
        }
        c.symbol(&Token::RParen)?;
    } else {
        options.full = c.accept("full");
        options.freeze = c.accept("freeze");
        options.verbose = c.accept("verbose");
        options.analyze = c.accept("analyze") || c.accept("analyse");
    }
    let targets = targets(c)?;
    Ok(utility(Ast::Vacuum { targets, options }, "VACUUM"))
}

fn analyze(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.parser.advance_token();
    if c.accept_symbol(&Token::LParen) {
        loop {
            let name = c.any_word()?;
            if !matches!(name.as_str(), "verbose" | "skip_locked") {
                return Err(SqlError::syntax(format!("unrecognized ANALYZE option \"{name}\"")).into());
            }
            c.option_flag()?;
            if !c.accept_symbol(&Token::Comma) {
                break;
            }
        }
        c.symbol(&Token::RParen)?;
    } else {
        c.accept("verbose");
    }
    let targets = targets(c)?;
    Ok(utility(Ast::Analyze(targets), "ANALYZE"))
}

fn lock(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.parser.advance_token();
    c.accept("table");
    c.accept("only");
    let tables = c.names()?;
    let mut mode = 8;
    if c.accept("in") {
        const MODES: [&[&str]; 8] = [
            &["access", "share"],
            &["row", "share"],
            &["row", "exclusive"],
            &["share", "update", "exclusive"],
            &["share"],
            &["share", "row", "exclusive"],
            &["exclusive"],
            &["access", "exclusive"],
        ];
        // Longest first, as SHARE begins three of them.
        let found = [3usize, 5, 0, 1, 2, 7, 4, 6].into_iter().find(|&i| c.accept_all(MODES[i]));
        let Some(found) = found else { return c.unexpected() };
        mode = found as u8 + 1;
        c.expect("mode")?;
    }
    let nowait = c.accept("nowait");
    Ok(utility(Ast::Lock { tables, mode, nowait }, "LOCK TABLE"))
}

fn checkpoint(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.parser.advance_token();
    Ok(ready(Utility::Checkpoint, "CHECKPOINT"))
}
