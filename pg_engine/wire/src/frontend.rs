//! What a client says.

use alloc::vec::Vec;

use crate::{error::WireError, frame::Packet};

/// Reads fields off the front of a message body.
#[derive(Clone, Copy, Debug)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let (head, tail) = self.0.split_at_checked(n).ok_or(WireError::Short)?;
        self.0 = tail;
        Ok(head)
    }
    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(WireError::Short)?;
        self.0 = tail;
        Ok(*head)
    }
    fn u8(&mut self) -> Result<u8, WireError> {
        Ok(u8::from_be_bytes(self.chunk()?))
    }
    fn i32(&mut self) -> Result<i32, WireError> {
        Ok(i32::from_be_bytes(self.chunk()?))
    }
    fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_be_bytes(self.chunk()?))
    }
    #[inline]
    fn raw_str(&mut self) -> Result<&'a [u8], WireError> {
        let end = self.0.iter().position(|b| *b == 0).ok_or(WireError::Unterminated)?;
        let s = self.take(end)?;
        self.u8()?;
        Ok(s)
    }
    #[inline]
    fn str(&mut self) -> Result<&'a str, WireError> {
        // Portals mostly have no name.
        if let Some((0, rest)) = self.0.split_first() {
            self.0 = rest;
            return Ok("");
        }
        utf8(self.raw_str()?)
    }
    /// A count that must not exceed what the rest of the body can hold at `width` bytes each.
    fn count(&mut self, width: usize) -> Result<usize, WireError> {
        let n = u16::from_be_bytes(self.chunk()?);
        let n = usize::from(n);
        if n * width > self.0.len() { Err(WireError::Short) } else { Ok(n) }
    }
    fn end(self) -> Result<(), WireError> {
        if self.0.is_empty() { Ok(()) } else { Err(WireError::Trailing) }
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, WireError> {
    core::str::from_utf8(bytes).map_err(|e| WireError::encoding(bytes, e))
}

/// A list of big-endian 16-bit numbers in the input buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct I16List<'a>(&'a [u8]);

impl<'a> I16List<'a> {
    /// How many.
    pub fn len(&self) -> usize {
        self.0.len() / 2
    }
    /// None.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = i16> + use<'a> {
        self.0.as_chunks::<2>().0.iter().map(|b| i16::from_be_bytes(*b))
    }
}

/// A list of big-endian 32-bit numbers in the input buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct U32List<'a>(&'a [u8]);

impl<'a> U32List<'a> {
    /// None.
    pub const EMPTY: U32List<'static> = U32List(&[]);
    /// How many.
    pub fn len(&self) -> usize {
        self.0.len() / 4
    }
    /// None.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.0.as_chunks::<4>().0.iter().map(|b| u32::from_be_bytes(*b))
    }
}

/// The parameter values of a Bind, in the input buffer and already checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params<'a> {
    count: usize,
    bytes: &'a [u8],
}

impl<'a> Params<'a> {
    /// How many.
    pub fn len(&self) -> usize {
        self.count
    }
    /// None.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
    /// In order; `None` is NULL.
    pub fn iter(&self) -> impl Iterator<Item = Option<&'a [u8]>> + use<'a> {
        let mut rest = Reader(self.bytes);
        // Lengths were checked by the decoder; a mismatch would only end the iteration.
        (0..self.count).map_while(move |_| match rest.i32().ok()? {
            -1 => Some(None),
            n => rest.take(usize::try_from(n).ok()?).ok().map(Some),
        })
    }
}

/// What a Describe or Close is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// A prepared statement.
    Statement(&'a str),
    /// A portal.
    Portal(&'a str),
}

/// Bind's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bind<'a> {
    /// Portal to make; empty: the unnamed one.
    pub portal: &'a str,
    /// Prepared statement.
    pub statement: &'a str,
    /// Parameter formats: none (all text), one for all, or one each. 0 text, 1 binary.
    pub formats: I16List<'a>,
    /// The parameters.
    pub params: Params<'a>,
    /// Result formats, likewise.
    pub result_formats: I16List<'a>,
}

/// A function call's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionCall<'a> {
    /// `pg_proc.oid`.
    pub function: u32,
    /// Formats of the arguments, as in [`Bind`].
    pub formats: I16List<'a>,
    /// The arguments.
    pub params: Params<'a>,
    /// Format of the result: one.
    pub result_format: I16List<'a>,
}

/// A message of the normal phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frontend<'a> {
    /// Simple query: any number of statements.
    Query(&'a str),
    /// Prepares a statement.
    Parse {
        /// Name; empty: the unnamed statement.
        name: &'a str,
        /// Text.
        query: &'a str,
        /// Parameter types given by the client (0: to be inferred).
        types: U32List<'a>,
    },
    /// Makes a portal.
    Bind(Bind<'a>),
    /// Asks for parameter and column types.
    Describe(Target<'a>),
    /// Runs a portal for at most `max_rows` rows (0: all).
    Execute {
        /// Which.
        portal: &'a str,
        /// Row limit.
        max_rows: u32,
    },
    /// Drops a statement or portal.
    Close(Target<'a>),
    /// Asks for what is buffered to be sent.
    Flush,
    /// Ends an extended-protocol unit.
    Sync,
    /// The client leaves.
    Terminate,
    /// COPY data.
    CopyData(&'a [u8]),
    /// End of COPY data.
    CopyDone,
    /// COPY is given up by the client.
    CopyFail(&'a str),
    /// Password, SASLInitialResponse or SASLResponse: which one depends on what was asked.
    Password(&'a [u8]),
    /// Calls a function by number.
    FunctionCall(FunctionCall<'a>),
}

impl<'a> Frontend<'a> {
    /// Looks into a packet.
    #[inline]
    pub fn decode(packet: Packet<'a>) -> Result<Self, WireError> {
        let mut r = Reader(packet.body);
        let out = match packet.tag {
            b'Q' => Self::Query(r.str()?),
            b'P' => Self::parse(&mut r)?,
            b'B' => Self::Bind(bind(&mut r)?),
            b'D' => Self::Describe(target(&mut r, "invalid DESCRIBE message subtype")?),
            b'E' => {
                let portal = r.str()?;
                // A negative limit means none, as zero does.
                let max_rows = u32::try_from(r.i32()?).unwrap_or(0);
                Self::Execute { portal, max_rows }
            }
            b'C' => Self::Close(target(&mut r, "invalid CLOSE message subtype")?),
            b'H' => Self::Flush,
            b'S' => Self::Sync,
            b'X' => Self::Terminate,
            b'd' => return Ok(Self::CopyData(packet.body)),
            b'c' => Self::CopyDone,
            b'f' => Self::CopyFail(r.str()?),
            b'p' => return Ok(Self::Password(packet.body)),
            b'F' => Self::FunctionCall(function_call(&mut r)?),
            t => return Err(WireError::MessageType(t)),
        };
        r.end()?;
        Ok(out)
    }

    fn parse(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let name = r.str()?;
        let query = r.str()?;
        let n = r.count(4)?;
        Ok(Self::Parse { name, query, types: U32List(r.take(n * 4)?) })
    }
}

fn bind<'a>(r: &mut Reader<'a>) -> Result<Bind<'a>, WireError> {
    let portal = r.str()?;
    let statement = r.str()?;
    let (formats, params) = values(r)?;
    let n = r.count(2)?;
    let result_formats = I16List(r.take(n * 2)?);
    Ok(Bind { portal, statement, formats, params, result_formats })
}

/// Formats, and values in them.
fn values<'a>(r: &mut Reader<'a>) -> Result<(I16List<'a>, Params<'a>), WireError> {
    let n = r.count(2)?;
    let formats = I16List(r.take(n * 2)?);
    let count = r.count(4)?;
    let values = r.0;
    for _ in 0..count {
        match r.i32()? {
            -1 => {}
            n => {
                let n = usize::try_from(n).map_err(|_| WireError::Short)?;
                r.take(n)?;
            }
        }
    }
    let used = values.len() - r.0.len();
    let bytes = values.get(..used).unwrap_or_default();
    Ok((formats, Params { count, bytes }))
}

fn function_call<'a>(r: &mut Reader<'a>) -> Result<FunctionCall<'a>, WireError> {
    let function = r.i32()?.cast_unsigned();
    let (formats, params) = values(r)?;
    let result_format = I16List(r.take(2)?);
    Ok(FunctionCall { function, formats, params, result_format })
}

fn target<'a>(r: &mut Reader<'a>, wrong: &'static str) -> Result<Target<'a>, WireError> {
    let kind = r.u8()?;
    let name = r.str()?;
    match kind {
        b'S' => Ok(Target::Statement(name)),
        b'P' => Ok(Target::Portal(name)),
        _ => Err(WireError::Field(wrong)),
    }
}

/// A packet of the startup phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Startup<'a> {
    /// The session's parameters, in order (`user`, `database`, `options`, settings).
    Parameters {
        /// Protocol minor version the client asked for; above 0 calls for a NegotiateProtocolVersion answer.
        minor: u16,
        /// Name and value.
        pairs: Vec<(&'a str, &'a str)>,
    },
    /// Asks for TLS.
    Ssl,
    /// Asks for GSSAPI encryption.
    GssEnc,
    /// Asks to cancel another connection's statement.
    Cancel {
        /// From BackendKeyData.
        pid: u32,
        /// From BackendKeyData.
        secret: u32,
    },
}

const CANCEL: u32 = 80_877_102;
const SSL: u32 = 80_877_103;
const GSSENC: u32 = 80_877_104;

impl<'a> Startup<'a> {
    /// Looks into a startup packet's body (without its length word).
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut r = Reader(body);
        match r.u32()? {
            CANCEL => {
                let (pid, secret) = (r.u32()?, r.u32()?);
                r.end().map_err(|_| WireError::StartupLength)?;
                Ok(Self::Cancel { pid, secret })
            }
            SSL => r.end().map(|()| Self::Ssl).map_err(|_| WireError::StartupLength),
            GSSENC => r.end().map(|()| Self::GssEnc).map_err(|_| WireError::StartupLength),
            version => {
                #[allow(clippy::cast_possible_truncation, reason = "the two halves of the word")]
                let (major, minor) = ((version >> 16) as u16, version as u16);
                if major != 3 {
                    return Err(WireError::Version(major, minor));
                }
                let mut pairs = Vec::new();
                loop {
                    let name = r.str().map_err(layout)?;
                    if name.is_empty() {
                        break;
                    }
                    pairs.push((name, r.str().map_err(layout)?));
                }
                r.end().map_err(layout)?;
                Ok(Self::Parameters { minor, pairs })
            }
        }
    }
}

fn layout(e: WireError) -> WireError {
    match e {
        WireError::Encoding(..) => e,
        _ => WireError::StartupLayout,
    }
}

/// The body of a SASLInitialResponse: mechanism and the client's first message.
pub fn sasl_initial(body: &[u8]) -> Result<(&str, Option<&[u8]>), WireError> {
    let mut r = Reader(body);
    let mechanism = r.str()?;
    let response = match r.i32()? {
        -1 => None,
        n => Some(r.take(usize::try_from(n).map_err(|_| WireError::Short)?)?),
    };
    r.end()?;
    Ok((mechanism, response))
}
