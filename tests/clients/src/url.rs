//! Connection URLs, taken apart for programs that want the pieces.

use std::str::FromStr;

/// `postgres://user:password@host:port/database`
#[derive(Clone, Debug)]
pub struct Url {
    /// As given.
    pub text: String,
    /// User.
    pub user: String,
    /// Password; empty: none.
    pub password: String,
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database.
    pub database: String,
}

impl FromStr for Url {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not postgres://user:password@host:port/database");
        let rest = text
            .strip_prefix("postgres://")
            .or_else(|| text.strip_prefix("postgresql://"))
            .ok_or_else(wrong)?;
        let (login, place) = rest.split_once('@').ok_or_else(wrong)?;
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let (address, database) = place.split_once('/').ok_or_else(wrong)?;
        let (host, port) = address.rsplit_once(':').unwrap_or((address, "5432"));
        Ok(Self {
            text: text.to_owned(),
            user: user.to_owned(),
            password: password.to_owned(),
            host: host.to_owned(),
            port: port.parse().map_err(|_| wrong())?,
            database: database.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces() {
        let u: Url = "postgres://a:b@127.0.0.1:5433/d".parse().expect("a URL");
        assert_eq!(
            (&*u.user, &*u.password, &*u.host, u.port, &*u.database),
            ("a", "b", "127.0.0.1", 5433, "d")
        );
        assert!("http://x".parse::<Url>().is_err());
    }
}
