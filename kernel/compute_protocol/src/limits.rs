//! Bounds that decoding enforces; a device may have tighter ones and says so.

/// Version of the format.
pub const VERSION: u16 = 2;
/// First bytes of a command.
pub const COMMAND_MAGIC: [u8; 4] = *b"ILCP";
/// First bytes of a reply.
pub const REPLY_MAGIC: [u8; 4] = *b"ILCR";
/// Bytes of a command.
pub const COMMAND_BYTES: usize = 4096;
/// Bytes of a reply.
pub const REPLY_BYTES: usize = 4096;
/// Nodes of a graph.
pub const NODES: u32 = 1 << 30;
/// Steps of a graph's schedule.
pub const STEPS: u32 = 1 << 22;
/// Ticks of one command.
pub const TICKS: u32 = 1 << 20;
/// Rows of a column.
pub const ROWS: u64 = 1 << 40;
/// Terms of a filter.
pub const TERMS: usize = 4;
/// Dimensions of a vector; bits of one that is compared by Hamming distance.
pub const DIMENSIONS: u32 = 16_384;
/// Queries of one command.
pub const QUERIES: u32 = 4096;
/// Neighbours of a query, and rows of a top list.
pub const BEST: u32 = 200;
/// Bytes of a device's name.
pub const NAME: usize = 128;
