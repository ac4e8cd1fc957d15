//! How a server is set up.

use alloc::string::String;
use core::time::Duration;

/// How clients prove who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Authentication {
    /// SCRAM-SHA-256, always.
    #[default]
    Scram,
    /// Anyone is who they say they are.
    Trust,
}

/// Configuration of a [`crate::Server`].
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Authentication of every connection.
    pub authentication: Authentication,
    /// Connections served at a time; further ones are refused with 53300.
    pub max_connections: usize,
    /// Time a client has to authenticate.
    pub authentication_timeout: Duration,
    /// Longest message body with statements, parameters or COPY data.
    pub max_message: usize,
    /// Tasks that wait for work even when there is none, per shard of connections.
    pub idle_workers: usize,
    /// Shards of connections, each with its own queue and workers; 0: one per core.
    pub shards: usize,
    /// Do the rules in the database decide how clients prove who they are? If they do and there are some,
    /// `authentication` says nothing.
    pub hba: bool,
    /// How connections are encrypted when clients ask for it; `None`: they are not.
    pub encryption: Option<pg_tls::Settings>,
    /// Settings for every session, as in a configuration file.
    pub settings: alloc::vec::Vec<(String, String)>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            authentication: Authentication::Scram,
            max_connections: 100,
            authentication_timeout: Duration::from_secs(60),
            max_message: (1 << 30) - 1,
            idle_workers: 1,
            shards: 0,
            hba: true,
            encryption: Some(pg_tls::Settings::default()),
            settings: alloc::vec::Vec::new(),
        }
    }
}
