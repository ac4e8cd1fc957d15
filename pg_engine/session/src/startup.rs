//! From the first byte to an authenticated session.

use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};
use core::sync::atomic::Ordering::{Relaxed, SeqCst};

use pg_executor::{HbaMethod, Role};
use pg_types::{Oid, Result, SqlError, SqlState};
use pg_wire::{
    Encoder, Frontend, Startup, WireError, frame,
    frontend::sasl_initial,
    scram::{self, ServerExchange, Verifier},
};

use crate::{
    audit,
    connection::Step,
    databases::unknown,
    env::{self, Identity, Who},
    hba::{Demand, password_failed},
    interrupt::Reason,
    registry::Handle,
    server::Shared,
    session::Session,
    settings::{Scope, Settings},
};

/// Encryption requests a client may make before its startup packet.
const MAX_REQUESTS: u8 = 4;

/// Connections that only superusers get.
const RESERVED_CONNECTIONS: usize = 3;

/// What the client said of itself.
#[derive(Default)]
struct Introduction {
    user: String,
    database: String,
    /// Settings, in order: name and value.
    settings: Vec<(String, String)>,
    replication: bool,
}

enum State {
    Startup,
    /// SASL mechanisms were offered.
    Offered,
    /// The client's first message was answered.
    Exchange(ServerExchange),
}

/// A connection before its session.
pub struct Login {
    state: State,
    introduction: Introduction,
    requests: u8,
    refused: Option<Box<SqlError>>,
    /// How the client has to prove who it is.
    demand: Option<Demand>,
}

impl Login {
    /// At the beginning.
    pub fn new(refused: Option<Box<SqlError>>) -> Self {
        Self {
            state: State::Startup,
            introduction: Introduction::default(),
            requests: 0,
            refused,
            demand: None,
        }
    }
}

/// What one packet led to.
pub enum Progress {
    /// More to come.
    Step(Step),
    /// Encryption is asked for.
    Secure,
    /// Authenticated.
    Done(Box<Session>),
}

type Outcome = Result<(Progress, usize)>;

/// Handles the first packet of `input`, if it is complete. Errors are fatal.
pub fn step(
    shared: &Arc<Shared>,
    handle: &Arc<Handle>,
    login: &mut Login,
    input: &[u8],
    out: &mut Encoder,
) -> Option<Outcome> {
    match login.state {
        State::Startup => {
            let (body, used) = match frame::split_startup(input) {
                Ok(split) => split?,
                // Who does not speak the protocol is not answered.
                Err(WireError::StartupLength) => return Some(Ok((Progress::Step(Step::Close), 0))),
                Err(e) => return Some(Err(e.into())),
            };
            let progress = startup(shared, handle, login, body, out);
            if let Err(e) = &progress {
                // What the client said of itself is in the packet: it may be refused before that is kept.
                let (user, database) = introduced(body);
                audit::failed_login(shared, handle, &user, &database, e);
            }
            Some(progress.map(|p| (p, used)))
        }
        _ => {
            let (packet, used) = match frame::split(input, frame::MAX_SMALL) {
                Ok(split) => split?,
                Err(e) => return Some(Err(e.into())),
            };
            let who = (login.introduction.user.clone(), login.introduction.database.clone());
            let progress = match Frontend::decode(packet) {
                Ok(Frontend::Password(body)) => password(shared, handle, login, body, out),
                Ok(Frontend::Terminate) => Ok(Progress::Step(Step::Close)),
                Ok(_) => Err(SqlError::new(
                    SqlState::PROTOCOL_VIOLATION,
                    format!("expected SASL response, got message type {}", packet.tag),
                )),
                Err(e) => Err(e.into()),
            };
            if let Err(e) = &progress {
                audit::failed_login(shared, handle, &who.0, &who.1, e);
            }
            Some(progress.map(|p| (p, used)))
        }
    }
}

fn startup(
    shared: &Arc<Shared>,
    handle: &Arc<Handle>,
    login: &mut Login,
    body: &[u8],
    out: &mut Encoder,
) -> Result<Progress> {
    match Startup::decode(body)? {
        request @ (Startup::Ssl | Startup::GssEnc) => {
            login.requests += 1;
            if login.requests > MAX_REQUESTS {
                return Err(WireError::StartupLength.into());
            }
            if request == Startup::Ssl {
                return Ok(Progress::Secure);
            }
            if handle.secured.get().is_some() {
                return Err(WireError::Version(1234, 5680).into());
            }
            out.refuse_encryption();
            Ok(Progress::Step(Step::Flush))
        }
        Startup::Cancel { pid, secret } => {
            if let Some(target) = shared.registry.find(pid)
                && target.secret == secret
            {
                target.interrupt(Reason::Cancel);
                shared.engine.storage().wake_canceled();
            }
            Ok(Progress::Step(Step::Close))
        }
        Startup::Parameters { minor, pairs } => {
            let unknown: Vec<&str> =
                pairs.iter().map(|(n, _)| *n).filter(|n| n.starts_with("_pq_.")).collect();
            if minor > 0 || !unknown.is_empty() {
                out.negotiate_version(&unknown);
            }
            login.introduction = introduce(&pairs)?;
            if let Some(e) = login.refused.take() {
                return Err(*e);
            }
            if shared.stopping.load(SeqCst) {
                return Err(SqlError::new(
                    SqlState::CANNOT_CONNECT_NOW,
                    "the database system is shutting down",
                ));
            }
            let i = &login.introduction;
            let demand = shared.access.demand(shared, handle, &i.user, &i.database, i.replication)?;
            login.demand = Some(demand);
            match demand.method {
                HbaMethod::Trust | HbaMethod::Certificate => admit(shared, handle, login, out),
                HbaMethod::Reject | HbaMethod::Scram => {
                    match handle.secured.get() {
                        Some(_) => out.authentication_sasl(&[scram::MECHANISM_PLUS, scram::MECHANISM]),
                        None => out.authentication_sasl(&[scram::MECHANISM]),
                    }
                    login.state = State::Offered;
                    Ok(Progress::Step(Step::Flush))
                }
            }
        }
    }
}

/// The names of user and database in a startup packet, for the record.
fn introduced(body: &[u8]) -> (String, String) {
    match Startup::decode(body) {
        Ok(Startup::Parameters { pairs, .. }) => {
            let named = |n: &str| pairs.iter().find(|p| p.0 == n).map_or("", |p| p.1);
            let database = named("database");
            (named("user").into(), if database.is_empty() { named("user") } else { database }.into())
        }
        _ => (String::new(), String::new()),
    }
}

fn introduce(pairs: &[(&str, &str)]) -> Result<Introduction> {
    let mut i = Introduction::default();
    for (name, value) in pairs {
        match *name {
            "user" => i.user = (*value).into(),
            "database" => i.database = (*value).into(),
            "options" => options(value, &mut i.settings)?,
            "replication" => match *value {
                "false" | "off" | "no" | "0" => {}
                "true" | "on" | "yes" | "1" => i.replication = true,
                "database" => return Err(SqlError::unsupported("logical replication connections")),
                _ => {
                    return Err(SqlError::new(
                        SqlState::INVALID_PARAMETER_VALUE,
                        format!("invalid value for parameter \"replication\": \"{value}\""),
                    ));
                }
            },
            n if n.starts_with("_pq_.") => {}
            n => i.settings.push((n.into(), (*value).into())),
        }
    }
    if i.user.is_empty() {
        return Err(SqlError::new(
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            "no PostgreSQL user name specified in startup packet",
        ));
    }
    if i.database.is_empty() || i.replication && i.database == "replication" {
        i.database.clone_from(&i.user);
    }
    Ok(i)
}

/// `options`: `-c name=value` and `--name=value`, words separated by spaces, backslash quotes.
fn options(text: &str, settings: &mut Vec<(String, String)>) -> Result<()> {
    let invalid = |word: &str| {
        SqlError::new(
            SqlState::SYNTAX_ERROR,
            format!("invalid command-line argument for server process: {word}"),
        )
    };
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut inside = false;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                inside = true;
                word.extend(chars.next());
            }
            c if c.is_ascii_whitespace() => {
                if inside {
                    words.push(core::mem::take(&mut word));
                }
                inside = false;
            }
            c => {
                inside = true;
                word.push(c);
            }
        }
    }
    if inside {
        words.push(word);
    }
    let mut words = words.into_iter();
    while let Some(w) = words.next() {
        let assignment = if w == "-c" {
            words.next().ok_or_else(|| invalid(&w))?
        } else if let Some(a) = w.strip_prefix("-c").or_else(|| w.strip_prefix("--")) {
            a.into()
        } else {
            return Err(invalid(&w));
        };
        let (name, value) = assignment.split_once('=').ok_or_else(|| {
            SqlError::new(SqlState::SYNTAX_ERROR, format!("-c {assignment} requires a value"))
        })?;
        settings.push((name.replace('-', "_"), value.into()));
    }
    Ok(())
}

fn password(
    shared: &Arc<Shared>,
    handle: &Arc<Handle>,
    login: &mut Login,
    body: &[u8],
    out: &mut Encoder,
) -> Result<Progress> {
    match core::mem::replace(&mut login.state, State::Offered) {
        State::Startup | State::Offered => {
            let (mechanism, first) = sasl_initial(body)?;
            let end_point = handle.secured.get().map(|s| &*s.end_point);
            let plus = mechanism == scram::MECHANISM_PLUS;
            if mechanism != scram::MECHANISM && !(plus && end_point.is_some()) {
                return Err(SqlError::new(
                    SqlState::PROTOCOL_VIOLATION,
                    "client selected an invalid SASL authentication mechanism",
                ));
            }
            let Some(first) = first else {
                out.authentication_sasl_continue(b"");
                return Ok(Progress::Step(Step::Flush));
            };
            let verifier = verifier(shared, &login.introduction.user)?;
            let mut nonce = [0; scram::NONCE_LEN];
            platform::entropy::fill(&mut nonce);
            let exchange = ServerExchange::start(verifier, first, &nonce, end_point, plus)?;
            out.authentication_sasl_continue(exchange.server_first().as_bytes());
            login.state = State::Exchange(exchange);
            Ok(Progress::Step(Step::Flush))
        }
        State::Exchange(exchange) => match exchange.finish(body)? {
            Some(last) => {
                out.authentication_sasl_final(last.as_bytes());
                admit(shared, handle, login, out)
            }
            None => Err(password_failed(&login.introduction.user)),
        },
    }
}

/// The user's verifier, or a mock that no password matches.
fn verifier(shared: &Shared, user: &str) -> Result<Verifier> {
    let role = shared.engine.role(user)?;
    let expired = |r: &Role| r.valid_until.is_some_and(|t| t < env::now());
    let real = role.filter(|r| !expired(r)).and_then(|r| r.verifier).and_then(|text| Verifier::parse(&text));
    Ok(real.unwrap_or_else(|| Verifier::mock(user, &shared.secret)))
}

/// The client is who it says: is it let in?
fn admit(
    shared: &Arc<Shared>,
    handle: &Arc<Handle>,
    login: &mut Login,
    out: &mut Encoder,
) -> Result<Progress> {
    let i = core::mem::take(&mut login.introduction);
    if let Some(demand) = login.demand {
        demand.certified(handle, &i.user)?;
    }
    let no_entry = |message| SqlError::new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message);
    let role = shared
        .engine
        .role(&i.user)?
        .ok_or_else(|| no_entry(format!("role \"{}\" does not exist", i.user)))?;
    if !role.login {
        return Err(no_entry(format!("role \"{}\" is not permitted to log in", i.user)));
    }
    check_role_limit(shared, &role)?;
    check_reserved(shared, &role, i.replication)?;
    if i.replication && !role.superuser && !role.replication {
        return Err(SqlError::new(
            SqlState::INSUFFICIENT_PRIVILEGE,
            "must be superuser or replication role to start walsender",
        ));
    }
    // A replication connection is in no database.
    let home = shared.engine.catalog().database();
    let oid = if i.replication { home } else { may_enter(shared, handle, &role, &i.database)? };
    let database = shared.databases.enter(shared, handle, oid)?.ok_or_else(|| unknown(&i.database))?;
    let settings = initial_settings(shared, &role, oid, &i.settings)?;
    let session = Who { oid: role.oid, name: role.name.clone(), superuser: role.superuser };
    let identity = Identity {
        user: role.oid,
        user_name: role.name,
        superuser: role.superuser,
        database: i.database,
        session,
    };
    handle.end_wait();
    let mut session = Session::new(shared, &database, handle, identity, settings);
    session.replication = i.replication;
    session.audit_connection()?;
    out.authentication_ok();
    session.greet(out);
    Ok(Progress::Done(Box::new(session)))
}

/// The database, if the role may connect to it.
fn may_enter(shared: &Shared, handle: &Handle, role: &Role, name: &str) -> Result<Oid> {
    let database = shared.engine.database(name)?.ok_or_else(|| unknown(name))?;
    if !database.connectable {
        return Err(SqlError::new(
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("database \"{name}\" is not currently accepting connections"),
        ));
    }
    if !shared.engine.may_connect(role.oid, &database)? {
        return Err(SqlError::new(
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("permission denied for database \"{name}\""),
        )
        .detail("User does not have CONNECT privilege."));
    }
    if let (Ok(limit), false) = (usize::try_from(database.connection_limit), role.superuser) {
        let all = shared.registry.all();
        let others = all.iter().filter(|h| h.pid != handle.pid && h.database.load(Relaxed) == database.oid);
        if others.count() >= limit {
            return Err(SqlError::new(
                SqlState::TOO_MANY_CONNECTIONS,
                format!("too many connections for database \"{name}\""),
            ));
        }
    }
    Ok(database.oid)
}

/// The last connections are for superusers, who may have to find out why there are so many.
fn check_reserved(shared: &Shared, role: &Role, replication: bool) -> Result<()> {
    let most = shared.config.max_connections;
    let reserved = RESERVED_CONNECTIONS.min(most.saturating_sub(1));
    if role.superuser && !replication || shared.registry.len() + reserved <= most {
        return Ok(());
    }
    let text = "remaining connection slots are reserved for non-replication superuser connections";
    Err(SqlError::new(SqlState::TOO_MANY_CONNECTIONS, text))
}

fn check_role_limit(shared: &Shared, role: &Role) -> Result<()> {
    let Ok(limit) = usize::try_from(role.connection_limit) else { return Ok(()) };
    if role.superuser {
        return Ok(());
    }
    let used = shared.registry.activity().iter().filter(|a| a.user == role.oid).count();
    if used < limit {
        return Ok(());
    }
    Err(SqlError::new(
        SqlState::TOO_MANY_CONNECTIONS,
        format!("too many connections for role \"{}\"", role.name),
    ))
}

/// Server configuration, what was set for the database and the role, then what the client asked for.
pub fn initial_settings(
    shared: &Shared,
    role: &Role,
    database: Oid,
    asked: &[(String, String)],
) -> Result<Settings> {
    let mut settings = Settings::default();
    for (name, value) in &shared.config.settings {
        settings.set_text(name, value, Scope::Start, true)?;
    }
    settings.set_internal("max_connections", &format!("{}", shared.config.max_connections));
    for (name, value) in shared.encryption.shown() {
        settings.set_internal(name, value);
    }
    settings.set_internal("is_superuser", if role.superuser { "on" } else { "off" });
    settings.set_internal("session_authorization", &role.name);
    for (name, value) in shared.engine.role_settings(role.oid, database)? {
        // A value that has become invalid is not worth keeping the role out.
        if let Err(e) = settings.set_text(&name, &value, Scope::Start, true) {
            log::warn!("setting {name} of role {}: {e}", role.name);
        }
    }
    for (name, value) in asked {
        settings.set_text(name, value, Scope::Start, role.superuser)?;
    }
    Ok(settings)
}
