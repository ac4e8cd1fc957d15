//! Sessions of clients: connections, authentication, the protocol's state machine, settings, transactions.
//!
//! # Owns
//! * [`Server`]: accepts connections of a [`platform::net::Listener`] and shuts down in order.
//! * Connections, in two tiers: an idle one is a small object with its buffers, driven by readiness hooks, and owns no
//!   stack; one with something to do is run by a worker task of the pool until its input is used up. What blocks inside
//!   a statement (locks, disk) keeps the worker; waiting for COPY data does not.
//! * A session's settings, prepared statements, portals and transaction block.
//! * The plan cache, by statement text, shared by all sessions.
//! * [`open_volume`]: from a disk to an engine, the same steps on every platform.
//!
//! # Invariants
//! * A connection is run by one worker at a time and its messages are handled in order.
//! * There are never fewer workers than connections with work: a statement may wait for another connection's COMMIT.
//! * A panic in a statement ends that statement: its transaction is rolled back, the client reads XX000, everything else
//!   goes on.
//! * A malformed message ends its connection (08P01) and touches nothing else.
//! * An answer is sent once, when the input that asked for it is used up (Sync, Flush, simple query) or a large result
//!   has filled the output buffer.
//!
//! # Lock order
//! A connection's `inner`, then the registry, then a handle's `activity`. The pool, timer and plan cache locks are leaves.
//!
//! # Dependencies
//! `pg_tls` encrypts connections, `hashbrown` for maps, `itoa` for integers in rows, `libm` for rounding and `jiff` for time zones in settings.
//!
//! # Must not know
//! How the engine stores, plans or runs; which platform it is on.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod audit;
mod autovacuum;
mod config;
mod connection;
mod copy;
mod custom_plan;
mod databases;
mod datum;
mod encryption;
mod env;
mod extended;
mod extension;
mod function_call;
mod hba;
mod interrupt;
mod notify;
mod plan_cache;
mod pool;
mod portal;
mod registry;
mod replication;
mod routine;
mod rows;
mod server;
mod session;
mod settings;
mod shape;
mod simple;
mod sql_cursor;
mod sql_prepare;
mod startup;
mod statement;
mod statement_stats;
mod timer;
mod transaction;
mod utility;
mod volume;

pub use config::{Authentication, ServerConfig};
pub use server::{Server, describe};
pub use volume::{FIRST_NAME, Volume, VolumeError, is_blank, open_volume, random_password, server_config};
