//! Requests as bytes, and what a response must be.

use alloc::vec::Vec;
use compute_protocol::{
    carrier::{
        AttachBacking, BIND, CAPSET, Capset, CarrierError, CreateContext, CreateResource, Entry, FLAG_FENCE,
        FORMAT, GetCapset, Header, OfResource, PIPE_BUFFER, SUBMIT_BYTES, Submit, request, response,
        response_to, take,
    },
    limits,
};
use zerocopy::IntoBytes;

/// The context that everything happens in.
pub const CONTEXT: u32 = 1;
/// Runs of memory that one resource may consist of.
pub const RUNS: usize = 128;
/// Bytes of the longest request.
pub const REQUEST_ROOM: usize = SUBMIT_BYTES;
/// Bytes of the longest response.
pub const RESPONSE_ROOM: usize = size_of::<Header>() + limits::REPLY_BYTES;

const _: () = assert!(
    size_of::<Header>() + size_of::<AttachBacking>() + RUNS * size_of::<Entry>() <= REQUEST_ROOM,
    "an attachment fits a request"
);

/// A request without its fence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    kind: u32,
    context: u32,
    body: Vec<u8>,
    /// What a response is that says yes.
    due: u32,
    /// Bytes that it may have.
    pub response: usize,
}

impl Message {
    fn new(kind: u32, context: u32, body: &[u8]) -> Self {
        let response = size_of::<Header>();
        Self { kind, context, body: body.to_vec(), due: response::OK_NODATA, response }
    }

    /// What the device is.
    pub fn get_capset() -> Self {
        let body = GetCapset { id: CAPSET, ..GetCapset::default() };
        let response = size_of::<Header>() + size_of::<Capset>();
        Self { due: response::OK_CAPSET, response, ..Self::new(request::GET_CAPSET, 0, body.as_bytes()) }
    }

    /// Makes the context.
    pub fn create_context() -> Self {
        let name = b"intralith";
        let mut body = CreateContext { name_length: name.len() as u32, ..CreateContext::default() };
        body.name[..name.len()].copy_from_slice(name);
        Self::new(request::CTX_CREATE, CONTEXT, body.as_bytes())
    }

    /// Makes a resource of so many bytes.
    pub fn create_resource(resource: u32, bytes: u32) -> Self {
        let body = CreateResource {
            resource,
            target: PIPE_BUFFER,
            format: FORMAT,
            bind: BIND,
            width: bytes,
            height: 1,
            depth: 1,
            array_size: 1,
            ..CreateResource::default()
        };
        Self::new(request::RESOURCE_CREATE_3D, CONTEXT, body.as_bytes())
    }

    /// Gives a resource its memory, at most [`RUNS`] runs of it.
    pub fn attach_backing(resource: u32, runs: &[(u64, u32)]) -> Self {
        let entries = runs.len() as u32;
        let mut body = AttachBacking { resource, entries }.as_bytes().to_vec();
        for &(address, length) in runs {
            body.extend(Entry { address, length, padding: 0 }.as_bytes());
        }
        Self::new(request::RESOURCE_ATTACH_BACKING, 0, &body)
    }

    /// Lets the context use a resource.
    pub fn attach_resource(resource: u32) -> Self {
        let body = OfResource { resource, padding: 0 };
        Self::new(request::CTX_ATTACH_RESOURCE, CONTEXT, body.as_bytes())
    }

    /// Takes a resource from the context.
    pub fn detach_resource(resource: u32) -> Self {
        let body = OfResource { resource, padding: 0 };
        Self::new(request::CTX_DETACH_RESOURCE, CONTEXT, body.as_bytes())
    }

    /// Forgets a resource.
    pub fn forget_resource(resource: u32) -> Self {
        Self::new(request::RESOURCE_UNREF, 0, OfResource { resource, padding: 0 }.as_bytes())
    }

    /// Executes an encoded command.
    pub fn submit(command: &[u8]) -> Self {
        // The structure begins with the header, which is written when the fence is known.
        let front = Submit { size: command.len() as u32, ..Submit::default() };
        let mut body = front.as_bytes()[size_of::<Header>()..].to_vec();
        body.extend(command);
        Self { response: RESPONSE_ROOM, ..Self::new(request::SUBMIT_3D, CONTEXT, &body) }
    }

    /// The request, with this fence.
    pub fn bytes(&self, fence: u64) -> Vec<u8> {
        let mut all = Header::request(self.kind, self.context, Some(fence)).as_bytes().to_vec();
        all.extend(&self.body);
        all
    }

    /// What follows the header of a response, if it answers this request with this fence and says yes.
    pub fn check<'a>(&self, fence: u64, response: &'a [u8]) -> Result<&'a [u8], CarrierError> {
        let (header, _): (Header, _) = take(response)?;
        if header.flags & FLAG_FENCE == 0 || header.fence != fence || header.context != self.context {
            return Err(CarrierError::Unexpected(header.kind));
        }
        response_to(response, self.due).map(|(_, rest)| rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_response_is_only_taken_for_its_own_request() {
        let message = Message::submit(b"command");
        let sent: Header = take(&message.bytes(7)).unwrap().0;
        let mut answer = sent.answer(response::OK_NODATA).as_bytes().to_vec();
        answer.extend(b"reply");
        assert_eq!(message.check(7, &answer), Ok(&b"reply"[..]));
        assert_eq!(message.check(8, &answer), Err(CarrierError::Unexpected(response::OK_NODATA)));
        assert_eq!(message.check(7, &answer[..20]), Err(CarrierError::Short));
        let other = Header { flags: 0, ..sent.answer(response::OK_NODATA) };
        assert_eq!(message.check(7, other.as_bytes()), Err(CarrierError::Unexpected(response::OK_NODATA)));
        let other = Header { context: 2, ..sent.answer(response::OK_NODATA) };
        assert_eq!(message.check(7, other.as_bytes()), Err(CarrierError::Unexpected(response::OK_NODATA)));
        let refused = sent.answer(response::ERR_OUT_OF_MEMORY);
        let refused = message.check(7, refused.as_bytes()).map(<[u8]>::to_vec);
        assert_eq!(refused, Err(CarrierError::Refused(response::ERR_OUT_OF_MEMORY)));
    }

    #[test]
    fn every_request_fits_its_room() {
        let runs = vec![(1 << 40, 4096); RUNS];
        let longest = vec![0; limits::COMMAND_BYTES];
        for message in [
            Message::get_capset(),
            Message::create_context(),
            Message::create_resource(1, 4096),
            Message::attach_backing(1, &runs),
            Message::attach_resource(1),
            Message::detach_resource(1),
            Message::forget_resource(1),
            Message::submit(&longest),
        ] {
            assert!(message.bytes(1).len() <= REQUEST_ROOM && message.response <= RESPONSE_ROOM);
        }
    }

    #[test]
    fn a_submission_is_a_header_its_length_and_the_command() {
        let bytes = Message::submit(b"abc").bytes(5);
        let (front, command): (Submit, _) = take(&bytes).unwrap();
        assert_eq!(front.header, Header::request(request::SUBMIT_3D, CONTEXT, Some(5)));
        assert_eq!((front.size, front.padding, command), (3, 0, &b"abc"[..]));
    }
}
