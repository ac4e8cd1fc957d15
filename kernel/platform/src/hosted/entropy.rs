//! Random bytes fit for keys.

/// Fills `buf` from the platform's generator. Panics when the system has no source of randomness at all.
pub fn fill(buf: &mut [u8]) {
    use std::io::Read;
    let mut source = std::fs::File::open("/dev/urandom").expect("no /dev/urandom");
    source.read_exact(buf).expect("/dev/urandom ended");
}
