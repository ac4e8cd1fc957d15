//! History: states at ticks, as key frames and differences ("Carlos Delta").
//!
//! A history is a header and frames. A key frame holds a whole state, any other one the exclusive-or with the state before, so
//! that going to a tick reads one key frame and what follows it. Either is stored as it is, packed, or as the few bytes that
//! differ, whichever is shortest. What a state is, is the caller's: one byte a node for the history of ticks
//! (`RECORD`, `REPLAY`), or a whole graph ([`encode_graph`]) for chains of backups.
//!
//! # The format
//! All numbers are little-endian. Header, 16 bytes: magic `ILGH`, version (u16, 1), 2 zero bytes, key frame interval (u32),
//! CRC-32C of these 12. Frame, 32 bytes and the payload: payload length (u32), kind (u8: 0 key, 1 difference), packing (u8: 0
//! none, 1 LZ4, 2 sparse), 2 zero bytes, tick (u64), length of the state (u32), CRC-32C of the state (u32), 4 zero bytes, CRC-32C
//! of all that and the payload. Sparse: for each byte that differs, the distance to the one before as a number of seven bits a
//! byte, lowest first, and the exclusive-or.
//!
//! # Invariants
//! * The first frame is a key frame; ticks rise; a difference follows a state of the same length.
//! * [`History::open`] has seen every checksum; a state that is given out has the checksum its frame says.
//! * Any bytes are a history, or an error that says where it is damaged; nothing is allocated for lengths that are not believed.
//!
//! # What it must not know
//! Files, SQL, ticking.
//!
//! # Dependencies
//! `kernel_simd` for checksums, `lz4_flex` for packing, `dagdb_graph` for whole graphs, `thiserror` for the error type.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod frame;
mod graph;
mod history;

pub use frame::DeltaError;
pub use graph::{decode_graph, encode_graph, graph_bytes};
pub use history::{Frame, History, Recorder, apply, peek};
