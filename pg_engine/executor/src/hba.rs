//! Who may connect from where and how they prove who they are: the rules of `intralith_hba_rules`, which are those of
//! PostgreSQL's `pg_hba.conf`. Superusers change them with ordinary statements; at the end of each the whole set must be
//! readable, or the statement fails.
//!
//! # Invariants
//! * The first rule that fits a connection decides; if none does it is refused. Without any rule the configuration does.
//! * A set of rules can lock everybody out. The configuration word `hba=off`, which no rule can change, has them left aside.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::net::IpAddr;

use pg_catalog::{Roles, builtin::INTRALITH_HBA_RULES, table::Row};
use pg_types::{Oid, Result, SqlError, SqlState, Value};

use crate::{context::ExecContext, ddl::Ddl, engine::Engine};

/// Connections that a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Of the machine's own, of which there are none.
    Local,
    Host,
    HostSsl,
    HostNoSsl,
}

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HbaMethod {
    /// Not at all.
    Trust,
    /// It is refused.
    Reject,
    /// SCRAM-SHA-256.
    Scram,
    /// By a certificate whose common name is the role.
    Certificate,
}

/// What is asked of a client's certificate besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificate {
    /// Nothing.
    Any,
    /// That there is one (that it is valid was found out when the connection was made).
    VerifyCa,
    /// That its common name is the role, too.
    VerifyFull,
}

/// Addresses that a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Addresses {
    All,
    Network(IpAddr, u8),
}

/// A rule.
#[derive(Clone, Debug)]
struct Rule {
    kind: Kind,
    databases: Vec<String>,
    users: Vec<String>,
    addresses: Addresses,
    method: HbaMethod,
    certificate: ClientCertificate,
}

/// Rules in order.
#[derive(Clone, Debug, Default)]
pub struct HbaRules(Vec<Rule>);

/// A connection that rules are asked about.
#[derive(Clone, Copy, Debug)]
pub struct HbaClient<'a> {
    /// Where it is from.
    pub address: IpAddr,
    /// It is encrypted.
    pub encrypted: bool,
    /// Who it says it is.
    pub user: &'a str,
    /// Where it wants to.
    pub database: &'a str,
    /// It wants to read the log.
    pub replication: bool,
}

impl HbaRules {
    /// None: the configuration decides.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the first rule that fits asks for. `None`: no rule fits.
    pub fn find(&self, client: &HbaClient<'_>, roles: &Roles) -> Option<(HbaMethod, ClientCertificate)> {
        let user = roles.find(client.user);
        let rule = self.0.iter().find(|r| r.fits(client, user, roles))?;
        Some((rule.method, rule.certificate))
    }
}

impl Rule {
    fn fits(&self, client: &HbaClient<'_>, user: Option<Oid>, roles: &Roles) -> bool {
        let member = |group: &str| {
            user.zip(roles.find(group)).is_some_and(|(user, group)| roles.is_member_of(user, group))
        };
        let kind = match self.kind {
            Kind::Local => false,
            Kind::Host => true,
            Kind::HostSsl => client.encrypted,
            Kind::HostNoSsl => !client.encrypted,
        };
        let database = |word: &str| match word {
            // Connections that read the log are in no database.
            "replication" => client.replication,
            _ if client.replication => false,
            "all" => true,
            "sameuser" => client.database == client.user,
            "samerole" | "samegroup" => member(client.database),
            name => name == client.database,
        };
        let user = |word: &str| match word.strip_prefix('+') {
            Some(group) => member(group),
            None => word == "all" || word == client.user,
        };
        kind && self.addresses.contain(client.address.to_canonical())
            && self.databases.iter().any(|w| database(w))
            && self.users.iter().any(|w| user(w))
    }

    fn parse(row: &Row) -> Result<Self> {
        let number = row.int("rule_number");
        let wrong =
            |state: SqlState, text: String| SqlError::new(state, text).detail(format!("Rule {number}."));
        let invalid = |text: String| wrong(SqlState::INVALID_PARAMETER_VALUE, text);
        let words = |column: &str| -> Result<Vec<String>> {
            let word = |v: &Value| match v {
                Value::Text(s) if !s.is_empty() => Ok(s.to_string()),
                _ => Err(invalid(format!("column \"{column}\" has an element without a name"))),
            };
            row.array(column).iter().map(word).collect()
        };
        let kind = match row.text("type") {
            "local" => Kind::Local,
            "host" => Kind::Host,
            "hostssl" => Kind::HostSsl,
            "hostnossl" => Kind::HostNoSsl,
            "hostgssenc" | "hostnogssenc" => {
                return Err(wrong(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "GSSAPI encryption is not supported".into(),
                ));
            }
            other => return Err(invalid(format!("invalid connection type \"{other}\""))),
        };
        let (databases, users) = (words("database")?, words("user_name")?);
        if databases.is_empty() || users.is_empty() {
            return Err(invalid("a rule must name databases and users".into()));
        }
        let addresses = match (kind, row.text_option("address").as_deref()) {
            (Kind::Local, None) => Addresses::All,
            (Kind::Local, Some(_)) => return Err(invalid("local connections have no address".into())),
            (_, None) => return Err(invalid("end-of-line before IP address specification".into())),
            (_, Some(text)) => Addresses::parse(text).map_err(|(state, text)| wrong(state, text))?,
        };
        let method = match row.text("auth_method") {
            "trust" => HbaMethod::Trust,
            "reject" => HbaMethod::Reject,
            "scram-sha-256" => HbaMethod::Scram,
            "cert" if kind == Kind::HostSsl => HbaMethod::Certificate,
            "cert" => {
                return Err(invalid("cert authentication is only supported on hostssl connections".into()));
            }
            other @ ("md5" | "password" | "gss" | "sspi" | "ident" | "peer" | "pam" | "bsd" | "ldap"
            | "radius") => {
                let text = format!("authentication method \"{other}\" is not supported");
                return Err(wrong(SqlState::FEATURE_NOT_SUPPORTED, text));
            }
            other => return Err(invalid(format!("invalid authentication method \"{other}\""))),
        };
        let mut certificate = match method {
            HbaMethod::Certificate => ClientCertificate::VerifyFull,
            _ => ClientCertificate::Any,
        };
        for option in words("options")? {
            certificate = match option.split_once('=') {
                Some(("clientcert", _)) if kind != Kind::HostSsl => {
                    return Err(invalid("clientcert can only be configured for \"hostssl\" rows".into()));
                }
                Some(("clientcert", "verify-full")) => ClientCertificate::VerifyFull,
                Some(("clientcert", "verify-ca")) if method == HbaMethod::Certificate => {
                    return Err(invalid(
                        "clientcert only accepts \"verify-full\" when using \"cert\" authentication".into(),
                    ));
                }
                Some(("clientcert", "verify-ca")) => ClientCertificate::VerifyCa,
                Some(("clientcert", other)) => {
                    return Err(invalid(format!("invalid value for clientcert: \"{other}\"")));
                }
                Some((name, _)) => {
                    return Err(invalid(format!("unrecognized authentication option name: \"{name}\"")));
                }
                None => {
                    return Err(invalid(format!("authentication option not in name=value format: {option}")));
                }
            };
        }
        Ok(Self { kind, databases, users, addresses, method, certificate })
    }
}

impl Addresses {
    fn parse(text: &str) -> core::result::Result<Self, (SqlState, String)> {
        if text == "all" {
            return Ok(Self::All);
        }
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let Ok(address) = address.parse::<IpAddr>() else {
            let text = format!("address \"{text}\" is not supported: only numbers and \"all\" are");
            return Err((SqlState::FEATURE_NOT_SUPPORTED, text));
        };
        let width = if address.is_ipv4() { 32 } else { 128 };
        match bits.map_or(Ok(width), str::parse) {
            Ok(bits) if bits <= width => Ok(Self::Network(address, bits)),
            _ => Err((SqlState::INVALID_PARAMETER_VALUE, format!("invalid CIDR mask in address \"{text}\""))),
        }
    }
    fn contain(self, address: IpAddr) -> bool {
        let same = |a: u128, b: u128, width: u32, bits: u8| {
            let rest = width.saturating_sub(u32::from(bits));
            a.checked_shr(rest).unwrap_or(0) == b.checked_shr(rest).unwrap_or(0)
        };
        match (self, address) {
            (Self::All, _) => true,
            (Self::Network(IpAddr::V4(n), bits), IpAddr::V4(a)) => {
                same(u128::from(n.to_bits()), u128::from(a.to_bits()), 32, bits)
            }
            (Self::Network(IpAddr::V6(n), bits), IpAddr::V6(a)) => same(n.to_bits(), a.to_bits(), 128, bits),
            _ => false,
        }
    }
}

fn parse(mut rows: Vec<Row>) -> Result<HbaRules> {
    rows.sort_by_key(|r| r.int("rule_number"));
    rows.iter().map(Rule::parse).collect::<Result<_>>().map(HbaRules)
}

impl Engine {
    /// The rules, as committed.
    pub fn hba_rules(&self) -> Result<HbaRules> {
        let snapshot = self.catalog().latest();
        parse(self.catalog().find(&snapshot, INTRALITH_HBA_RULES, &[], &[])?)
    }
}

/// After a statement that changed rules: can they be read?
pub(crate) fn changed(cx: &ExecContext<'_>) -> Result<()> {
    let ddl = Ddl::new(cx, "a change of rules")?;
    parse(ddl.find(INTRALITH_HBA_RULES, &[], &[])?.into_iter().map(|r| r.1).collect())?;
    ddl.step();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_addresses() {
        let contains = |network: &str, address: &str| {
            Addresses::parse(network).unwrap().contain(address.parse().unwrap())
        };
        assert!(contains("10.0.0.0/8", "10.255.0.1") && !contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("0.0.0.0/0", "1.2.3.4") && !contains("0.0.0.0/0", "::1"));
        assert!(
            contains("::/0", "::1") && contains("fe80::/10", "febf::1") && !contains("fe80::/10", "fec0::1")
        );
        assert!(contains("192.168.1.7", "192.168.1.7") && !contains("192.168.1.7", "192.168.1.6"));
        assert!(contains("all", "::1"));
        for wrong in ["10.0.0.0/33", "::1/129", "10.0.0.0/x", "example.com", "", "samenet"] {
            assert!(Addresses::parse(wrong).is_err(), "{wrong}");
        }
    }
}
