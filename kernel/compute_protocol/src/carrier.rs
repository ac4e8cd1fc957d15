//! How commands and replies travel: as messages of a virtio-gpu device's control queue.
//!
//! # Two devices, one protocol
//! *virtio-gpu* (PCI 1af4:1050) is the real one. The *private carrier* is for emulators that have no such device outside a
//! virtual machine monitor's own process: whatever virtio device it looks like (PCI 1af4:1053, a socket device), its queue 0 takes the same messages. It has
//! no configuration space of a GPU; the number of capability sets is 1. A driver knows either one by its capability set ([`CAPSET`]),
//! whose first bytes are [`CAPSET_MAGIC`]; a device that does not answer so is somebody else's and to be left alone.
//!
//! # Messages
//! All numbers are little-endian. A request is the descriptor chain's readable bytes, a response its writable bytes; both begin with a [`Header`].
//! The response's header repeats the request's fence (number, flag [`FLAG_FENCE`], context); its kind is one of [`response`]'s. The used
//! length is how many bytes of the response there are. A request that is cut short, unknown or wrong is answered by an error and
//! changes nothing; one whose writable bytes do not hold a header has no answer (used length 0).
//!
//! | request | content after the header | response |
//! |---|---|---|
//! | `GET_CAPSET_INFO` | [`GetCapsetInfo`], index 0 | [`CapsetInfo`] |
//! | `GET_CAPSET` | [`GetCapset`], [`CAPSET`], version 0 or [`VERSION`] | header and [`Capset`] |
//! | `CTX_CREATE` | [`CreateContext`]; `context_init` is 0, as the feature for it need not be offered | header |
//! | `CTX_DESTROY` | nothing | header |
//! | `RESOURCE_CREATE_3D` | [`CreateResource`]: target [`PIPE_BUFFER`], width in bytes, height, depth and array size 1 | header |
//! | `RESOURCE_ATTACH_BACKING` | [`AttachBacking`] and its [`Entry`]s, which together are at least the width | header |
//! | `RESOURCE_DETACH_BACKING`, `RESOURCE_UNREF` | [`OfResource`] | header |
//! | `CTX_ATTACH_RESOURCE`, `CTX_DETACH_RESOURCE` | [`OfResource`] | header |
//! | `SUBMIT_3D` | [`Submit`], then `size` bytes: an encoded [`Envelope`](crate::Envelope) | header, then an encoded [`Reply`](crate::Reply) |
//!
//! The number in a command's [`Span`](crate::Span)s is a resource attached to the header's context, the offset is into its backing, whose entries follow each
//! other. The writable bytes of a submission must hold a header and [`REPLY_BYTES`](crate::limits::REPLY_BYTES). A submission whose response is `OK_NODATA` was
//! decoded, or found malformed; what became of it is the reply's to say.
//!
//! # Order
//! Submissions are executed one after the other, in the order of the queue, each with the resources that were attached when it came.
//! Their responses come when they are done, fenced or not, so that the device's other answers may overtake them. But whatever takes pages or a
//! context away (`DETACH_BACKING`, `UNREF`, `CTX_DETACH_RESOURCE`, `CTX_DESTROY`) is answered only after all submissions before it: then the device does not touch
//! those pages any more. It also does not after a reset of the device.
//!
//! # Loss
//! [`Capset::instance`] is another number whenever what the device held is gone. Tables and graphs are of a context and go with it.

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// Version of this framing.
pub const VERSION: u32 = 1;
/// The private capability set's number.
pub const CAPSET: u32 = 0x4350_4c49;
/// First bytes of the capability set.
pub const CAPSET_MAGIC: [u8; 8] = *b"ILGPUCAP";
/// The queue that takes messages.
pub const CONTROL_QUEUE: u16 = 0;
/// In [`Header::flags`]: the fence counts.
pub const FLAG_FENCE: u32 = 1;
/// In [`CreateResource::target`].
pub const PIPE_BUFFER: u32 = 0;
/// In [`CreateResource::format`]: bytes (R8_UNORM).
pub const FORMAT: u32 = 64;
/// In [`CreateResource::bind`]: a buffer of the guest's own.
pub const BIND: u32 = 1 << 17;
/// Bytes of a request, entries of a backing included, that a device must take.
pub const REQUEST_BYTES: usize = 1 << 20;
/// Bytes of a request that is not an attachment.
pub const SUBMIT_BYTES: usize = size_of::<Submit>() + crate::limits::COMMAND_BYTES;

/// Kinds of request, as virtio-gpu numbers them.
pub mod request {
    /// For a display; this device has none.
    pub const GET_DISPLAY_INFO: u32 = 0x0100;
    /// Forgets a resource.
    pub const RESOURCE_UNREF: u32 = 0x0102;
    /// Gives a resource pages.
    pub const RESOURCE_ATTACH_BACKING: u32 = 0x0106;
    /// Takes them away.
    pub const RESOURCE_DETACH_BACKING: u32 = 0x0107;
    /// What capability sets there are.
    pub const GET_CAPSET_INFO: u32 = 0x0108;
    /// One of them.
    pub const GET_CAPSET: u32 = 0x0109;
    /// Of a display; this device has none.
    pub const GET_EDID: u32 = 0x010a;
    /// Makes a context.
    pub const CTX_CREATE: u32 = 0x0200;
    /// Forgets it and what it holds.
    pub const CTX_DESTROY: u32 = 0x0201;
    /// Lets a context use a resource.
    pub const CTX_ATTACH_RESOURCE: u32 = 0x0202;
    /// No longer.
    pub const CTX_DETACH_RESOURCE: u32 = 0x0203;
    /// Makes a resource.
    pub const RESOURCE_CREATE_3D: u32 = 0x0204;
    /// Executes a command.
    pub const SUBMIT_3D: u32 = 0x0207;
}

/// Kinds of response, as virtio-gpu numbers them.
pub mod response {
    /// Done.
    pub const OK_NODATA: u32 = 0x1100;
    /// [`DisplayInfo`](super::DisplayInfo).
    pub const OK_DISPLAY_INFO: u32 = 0x1101;
    /// [`CapsetInfo`](super::CapsetInfo).
    pub const OK_CAPSET_INFO: u32 = 0x1102;
    /// [`Capset`](super::Capset) after the header.
    pub const OK_CAPSET: u32 = 0x1103;
    /// No such kind of request, or it is too short.
    pub const ERR_UNSPEC: u32 = 0x1200;
    /// Too many resources, contexts, bytes or entries.
    pub const ERR_OUT_OF_MEMORY: u32 = 0x1201;
    /// No such resource, or one that is to be made exists.
    pub const ERR_INVALID_RESOURCE_ID: u32 = 0x1203;
    /// No such context, or one that is to be made exists.
    pub const ERR_INVALID_CONTEXT_ID: u32 = 0x1204;
    /// Something else is out of its range: an address that is no memory, a size.
    pub const ERR_INVALID_PARAMETER: u32 = 0x1205;
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CarrierError {
    /// There are fewer than the message has.
    #[error("the message ends too early")]
    Short,
    /// The response says that the request failed, with this kind.
    #[error("the device answers with error {0:#x}")]
    Refused(u32),
    /// A kind that does not belong to the request.
    #[error("the device answers with {0:#x}, which the request does not have")]
    Unexpected(u32),
    /// The capability set is of another device.
    #[error("the device's capability set is not this protocol's")]
    Foreign,
    /// Or of another version.
    #[error("the device speaks version {0} of the carrier and {1} of commands")]
    Version(u32, u32),
}

macro_rules! message {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(C)]
        pub struct $name { $($(#[$field_doc])* pub $field: $kind,)* }
        impl Default for $name {
            fn default() -> Self {
                Self::new_zeroed()
            }
        }
    };
}

message! {
    /// What every message begins with: 24 bytes.
    Header {
        /// Of [`request`] or [`response`].
        kind: u32,
        /// [`FLAG_FENCE`] or 0.
        flags: u32,
        /// Repeated by the response.
        fence: u64,
        /// Repeated by the response.
        context: u32,
        /// 0.
        ring: u8,
        /// 0.
        padding: [u8; 3],
    }
}
message! {
    /// After the header.
    GetCapsetInfo {
        /// Its number among the capability sets: 0.
        index: u32,
        /// 0.
        padding: u32,
    }
}
message! {
    /// After the header.
    CapsetInfo {
        /// [`CAPSET`].
        id: u32,
        /// [`VERSION`].
        version: u32,
        /// Bytes of [`Capset`].
        size: u32,
        /// 0.
        padding: u32,
    }
}
message! {
    /// After the header.
    GetCapset {
        /// [`CAPSET`].
        id: u32,
        /// 0 or [`VERSION`].
        version: u32,
    }
}
message! {
    /// The capability set: 64 bytes.
    Capset {
        /// [`CAPSET_MAGIC`].
        magic: [u8; 8],
        /// [`VERSION`].
        version: u32,
        /// [`limits::VERSION`](crate::limits::VERSION).
        protocol: u32,
        /// Another one whenever what the device held is gone.
        instance: u64,
        /// Bytes of a resource, at most.
        resource_bytes: u64,
        /// Bytes of all resources together.
        attached_bytes: u64,
        /// Resources.
        resources: u32,
        /// Entries of a resource's backing.
        entries: u32,
        /// Contexts.
        contexts: u32,
        /// Requests that may wait for their turn; those beyond are refused with [`response::ERR_OUT_OF_MEMORY`].
        waiting: u32,
        /// 0.
        padding: u64,
    }
}
message! {
    /// After the header.
    CreateContext {
        /// Bytes of the name.
        name_length: u32,
        /// 0.
        init: u32,
        /// For people.
        name: [u8; 64],
    }
}
message! {
    /// After the header.
    CreateResource {
        /// Its number, not 0.
        resource: u32,
        /// [`PIPE_BUFFER`].
        target: u32,
        /// [`FORMAT`].
        format: u32,
        /// [`BIND`].
        bind: u32,
        /// Bytes.
        width: u32,
        /// 1.
        height: u32,
        /// 1.
        depth: u32,
        /// 1.
        array_size: u32,
        /// 0.
        last_level: u32,
        /// 0.
        samples: u32,
        /// 0.
        flags: u32,
        /// 0.
        padding: u32,
    }
}
message! {
    /// After the header.
    OfResource {
        /// Which.
        resource: u32,
        /// 0.
        padding: u32,
    }
}
message! {
    /// After the header.
    AttachBacking {
        /// Of which resource.
        resource: u32,
        /// How many follow.
        entries: u32,
    }
}
message! {
    /// Pages in a row.
    Entry {
        /// The guest's physical address.
        address: u64,
        /// Bytes.
        length: u32,
        /// 0.
        padding: u32,
    }
}
message! {
    /// The header and what comes before the command.
    Submit {
        /// Of kind [`request::SUBMIT_3D`].
        header: Header,
        /// Bytes of the command.
        size: u32,
        /// 0.
        padding: u32,
    }
}
message! {
    /// One of [`DisplayInfo`]'s.
    Display {
        /// Position, width and height.
        rectangle: [u32; 4],
        /// Whether it is on.
        enabled: u32,
        /// 0.
        flags: u32,
    }
}
message! {
    /// After the header: displays, of which none is on.
    DisplayInfo {
        /// All that virtio-gpu can have.
        displays: [Display; 16],
    }
}

impl Header {
    /// Of a request.
    pub const fn request(kind: u32, context: u32, fence: Option<u64>) -> Self {
        let (flags, fence) = match fence {
            Some(fence) => (FLAG_FENCE, fence),
            None => (0, 0),
        };
        Self { kind, flags, fence, context, ring: 0, padding: [0; 3] }
    }

    /// Of the response to this request.
    pub const fn answer(&self, kind: u32) -> Self {
        let fenced = self.flags & FLAG_FENCE;
        let fence = if fenced == 0 { 0 } else { self.fence };
        Self { kind, flags: fenced, fence, context: self.context, ring: 0, padding: [0; 3] }
    }
}

impl Capset {
    /// Whether this is the protocol's and of known versions.
    pub const fn check(&self) -> Result<(), CarrierError> {
        let mut n = 0;
        while n < CAPSET_MAGIC.len() {
            if self.magic[n] != CAPSET_MAGIC[n] {
                return Err(CarrierError::Foreign);
            }
            n += 1;
        }
        if self.version != VERSION || self.protocol != crate::limits::VERSION as u32 {
            return Err(CarrierError::Version(self.version, self.protocol));
        }
        Ok(())
    }
}

/// Reads a structure from the front of a message; what follows comes back too.
pub fn take<T: FromBytes>(bytes: &[u8]) -> Result<(T, &[u8]), CarrierError> {
    T::read_from_prefix(bytes).map_err(|_| CarrierError::Short)
}

/// The header of a response of so many bytes and what follows it, if it is of the kind that is due.
pub fn response_to(bytes: &[u8], due: u32) -> Result<(Header, &[u8]), CarrierError> {
    let (header, rest): (Header, _) = take(bytes)?;
    match header.kind {
        kind if kind == due => Ok((header, rest)),
        kind @ response::ERR_UNSPEC..=0x12ff => Err(CarrierError::Refused(kind)),
        kind => Err(CarrierError::Unexpected(kind)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_virtio_gpu() {
        assert_eq!(size_of::<Header>(), 24);
        assert_eq!(size_of::<CapsetInfo>(), 16);
        assert_eq!(size_of::<Capset>(), 64);
        assert_eq!(size_of::<CreateContext>(), 72);
        assert_eq!(size_of::<CreateResource>(), 48);
        assert_eq!(size_of::<Entry>(), 16);
        assert_eq!(size_of::<Submit>(), 32);
        assert_eq!(size_of::<DisplayInfo>(), 384);
    }

    #[test]
    fn answers_repeat_the_fence() {
        let asked = Header::request(request::SUBMIT_3D, 3, Some(99));
        let answer = asked.answer(response::OK_NODATA);
        assert_eq!((answer.fence, answer.flags, answer.context), (99, FLAG_FENCE, 3));
        let bytes = answer.as_bytes();
        assert_eq!(response_to(bytes, response::OK_NODATA).map(|r| r.0), Ok(answer));
        assert_eq!(response_to(bytes, response::OK_CAPSET), Err(CarrierError::Unexpected(0x1100)));
        assert_eq!(response_to(&bytes[..23], response::OK_NODATA), Err(CarrierError::Short));
        let refused = asked.answer(response::ERR_INVALID_CONTEXT_ID);
        let refused = response_to(refused.as_bytes(), response::OK_NODATA).map(|_| ());
        assert_eq!(refused, Err(CarrierError::Refused(0x1204)));
    }

    #[test]
    fn other_capability_sets_are_foreign() {
        let ours = Capset {
            magic: CAPSET_MAGIC,
            version: VERSION,
            protocol: u32::from(crate::limits::VERSION),
            ..Capset::default()
        };
        assert_eq!(ours.check(), Ok(()));
        assert_eq!(Capset { magic: [0; 8], ..ours }.check(), Err(CarrierError::Foreign));
        assert_eq!(Capset { version: 9, ..ours }.check(), Err(CarrierError::Version(9, ours.protocol)));
    }
}
