//! Pages used and log written, in PostgreSQL's words.

use alloc::{format, string::String, vec::Vec};

use pg_plan::statement::ExplainOptions;

/// Pages and log records, inputs included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "as EXPLAIN names them")]
pub struct Usage {
    pub hit: u64,
    pub read: u64,
    pub dirtied: u64,
    pub written: u64,
    pub temporary_read: u64,
    pub temporary_written: u64,
    pub log_records: u64,
    pub log_images: u64,
    pub log_bytes: u64,
}

/// `shared hit=3 read=1`; what is 0 is left out.
fn list(label: &str, counts: &[(&str, u64)]) -> Option<String> {
    let mut out = String::from(label);
    for (name, n) in counts.iter().filter(|c| c.1 > 0) {
        out.push_str(&format!(" {name}={n}"));
    }
    (out.len() > label.len()).then_some(out)
}

impl Usage {
    /// `Buffers: shared hit=3, temp read=1 written=1`; none if there is nothing to tell.
    pub(super) fn buffers(&self) -> Option<String> {
        let shared =
            [("hit", self.hit), ("read", self.read), ("dirtied", self.dirtied), ("written", self.written)];
        let temporary = [("read", self.temporary_read), ("written", self.temporary_written)];
        let parts: Vec<String> =
            [list("shared", &shared), list("temp", &temporary)].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| format!("Buffers: {}", parts.join(", ")))
    }

    /// Lines of the text form.
    pub(super) fn lines(&self, options: &ExplainOptions) -> Vec<String> {
        let log = [("records", self.log_records), ("fpi", self.log_images), ("bytes", self.log_bytes)];
        let buffers = options.buffers.then(|| self.buffers()).flatten();
        let log = options.wal.then(|| list("WAL:", &log)).flatten();
        [buffers, log].into_iter().flatten().collect()
    }

    /// Properties of JSON: pages.
    pub(super) fn page_fields(&self) -> [(&'static str, u64); 10] {
        [
            ("Shared Hit Blocks", self.hit),
            ("Shared Read Blocks", self.read),
            ("Shared Dirtied Blocks", self.dirtied),
            ("Shared Written Blocks", self.written),
            // There is one cache for all.
            ("Local Hit Blocks", 0),
            ("Local Read Blocks", 0),
            ("Local Dirtied Blocks", 0),
            ("Local Written Blocks", 0),
            ("Temp Read Blocks", self.temporary_read),
            ("Temp Written Blocks", self.temporary_written),
        ]
    }

    /// Properties of JSON, as far as they are asked for.
    pub(super) fn fields(&self, options: &ExplainOptions) -> Vec<(&'static str, u64)> {
        let mut out = Vec::new();
        if options.buffers {
            out.extend(self.page_fields());
        }
        if options.wal {
            let log = [
                ("WAL Records", self.log_records),
                ("WAL FPI", self.log_images),
                ("WAL Bytes", self.log_bytes),
            ];
            out.extend(log);
        }
        out
    }
}
