//! What a device answers.

use alloc::{string::String, vec::Vec};

use crate::{
    limits,
    reduce::Partial,
    wire::{DecodeError, Reader, Writer},
};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Status {
    /// It was done.
    Done = 0,
    /// The message was no command.
    Malformed = 1,
    /// A table, graph or memory that it names does not exist, or one that it makes does.
    Identity = 2,
    /// Offsets, lengths or rows do not fit what they are of, or a graph is none.
    Bounds = 3,
    /// There is not so much memory.
    Memory = 4,
    /// This device does not do that; another may.
    Unsupported = 5,
    /// The device failed; what it held is lost.
    Lost = 6,
}

impl Status {
    const ALL: [Self; 7] = [
        Self::Done,
        Self::Malformed,
        Self::Identity,
        Self::Bounds,
        Self::Memory,
        Self::Unsupported,
        Self::Lost,
    ];

    /// The status of a number in a message.
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

/// What a device is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// What it calls itself.
    pub name: String,
    /// Its driver and that one's version.
    pub driver: String,
    /// Whether it is a processor.
    pub is_processor: bool,
    /// Whether it computes with double precision.
    pub has_f64: bool,
    /// Bytes that tables and graphs may take.
    pub memory: u64,
    /// Bytes they take.
    pub used: u64,
}

/// What a command brings back beside what it wrote to memory.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// 0: nothing.
    Nothing,
    /// 1: `u8` processor, `u8` double precision, `u64` memory, `u64` used, two texts of `u16` length and UTF-8.
    Device(Device),
    /// 2: `u64` count, `i128` whole sum, `u64` bits of the floating-point sum, `u64` least key, `u64` greatest.
    Reduction(Partial),
    /// 3: `u64` rows found.
    Rows(u64),
    /// 4: `u8` whether the last tick changed any state; 0 if there was none.
    Ticked(bool),
}

/// An answer and how it came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Of the command.
    pub number: u32,
    /// How it ended.
    pub status: Status,
    /// Time that the device computed.
    pub compute_ns: u64,
    /// Time that bytes moved.
    pub transfer_ns: u64,
    /// What came of it.
    pub answer: Answer,
}

impl Reply {
    /// Of a command that was not done.
    pub const fn refusal(number: u32, status: Status) -> Self {
        Self { number, status, compute_ns: 0, transfer_ns: 0, answer: Answer::Nothing }
    }

    /// The message.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer(Vec::with_capacity(96));
        w.0.extend(limits::REPLY_MAGIC);
        w.u16(limits::VERSION);
        w.u16(self.status as u16);
        w.u32(0);
        w.u32(self.number);
        w.u64(self.compute_ns);
        w.u64(self.transfer_ns);
        match &self.answer {
            Answer::Nothing => w.u8(0),
            Answer::Device(device) => {
                w.u8(1);
                w.u8(u8::from(device.is_processor));
                w.u8(u8::from(device.has_f64));
                w.u64(device.memory);
                w.u64(device.used);
                for text in [&device.name, &device.driver] {
                    let text = shortened(text);
                    w.u16(text.len() as u16);
                    w.0.extend(text.as_bytes());
                }
            }
            Answer::Reduction(of) => {
                w.u8(2);
                w.u64(of.count);
                w.i128(of.whole);
                w.u64(of.float.to_bits());
                w.u64(of.least);
                w.u64(of.greatest);
            }
            Answer::Rows(rows) => {
                w.u8(3);
                w.u64(*rows);
            }
            Answer::Ticked(changed) => {
                w.u8(4);
                w.u8(u8::from(*changed));
            }
        }
        w.finish()
    }

    /// The message in these bytes, which must be all of it.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > limits::REPLY_BYTES {
            return Err(DecodeError::Long);
        }
        let mut r = Reader(bytes);
        if r.bytes::<4>()? != limits::REPLY_MAGIC {
            return Err(DecodeError::Magic);
        }
        let version = r.u16()?;
        if version != limits::VERSION {
            return Err(DecodeError::Version(version));
        }
        let status = r.u16()?;
        let status = Status::from_code(status).ok_or(DecodeError::Operation(status))?;
        if r.u32()? as usize != bytes.len() {
            return Err(DecodeError::Short);
        }
        let (number, compute_ns, transfer_ns) = (r.u32()?, r.u64()?, r.u64()?);
        let answer = match r.u8()? {
            0 => Answer::Nothing,
            1 => Answer::Device(read_device(&mut r)?),
            2 => Answer::Reduction(Partial {
                count: r.u64()?,
                whole: r.i128()?,
                float: f64::from_bits(r.u64()?),
                least: r.u64()?,
                greatest: r.u64()?,
            }),
            3 => Answer::Rows(r.u64()?),
            4 => Answer::Ticked(r.u8()? != 0),
            other => return Err(DecodeError::Operation(u16::from(other))),
        };
        r.end()?;
        Ok(Self { number, status, compute_ns, transfer_ns, answer })
    }
}

fn read_device(r: &mut Reader<'_>) -> Result<Device, DecodeError> {
    let mut device = Device {
        is_processor: r.u8()? != 0,
        has_f64: r.u8()? != 0,
        memory: r.u64()?,
        used: r.u64()?,
        ..Device::default()
    };
    for text in [&mut device.name, &mut device.driver] {
        let length = usize::from(r.u16()?);
        let (head, rest) = r.0.split_at_checked(length).ok_or(DecodeError::Short)?;
        if length > limits::NAME {
            return Err(DecodeError::Range("name"));
        }
        *text = String::from_utf8_lossy(head).into_owned();
        r.0 = rest;
    }
    Ok(device)
}

fn shortened(text: &str) -> &str {
    let mut end = text.len().min(limits::NAME);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{string::ToString, vec};
    use proptest::prelude::*;

    fn examples() -> Vec<Reply> {
        let device = Device {
            name: "a device".to_string(),
            driver: "and its driver".to_string(),
            is_processor: true,
            has_f64: true,
            memory: 10,
            used: 5,
        };
        let sum = Partial { count: 4, whole: -5, float: 2.5, least: 1, greatest: 9 };
        vec![
            Answer::Nothing,
            Answer::Device(device),
            Answer::Reduction(sum),
            Answer::Rows(8),
            Answer::Ticked(true),
        ]
        .into_iter()
        .map(|answer| Reply { number: 3, status: Status::Done, compute_ns: 5, transfer_ns: 6, answer })
        .collect()
    }

    #[test]
    fn what_is_written_is_read() {
        for reply in examples() {
            assert_eq!(Reply::decode(&reply.encode()), Ok(reply));
        }
        let refusal = Reply::refusal(9, Status::Lost);
        assert_eq!(Reply::decode(&refusal.encode()), Ok(refusal));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(
            example in 0..5usize,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            noise: Vec<u8>,
        ) {
            let _ = Reply::decode(&noise);
            let mut bytes = examples().swap_remove(example).encode();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let _ = Reply::decode(&bytes);
        }

        #[test]
        fn long_names_are_shortened(name: String) {
            let device = Device { name: name.repeat(9), ..Device::default() };
            let reply = Reply { answer: Answer::Device(device), ..Reply::refusal(1, Status::Done) };
            prop_assert!(Reply::decode(&reply.encode()).is_ok());
        }
    }
}
