//! Connections to an emulator that already runs.
//!
//! QEMU introduces itself once, when it makes the device. If the shim ends and another one takes its place, QEMU goes on with that one as if nothing
//! had happened, as soon as the guest resets the device. So whoever takes a connection that does not begin with an introduction makes up
//! for it: what QEMU would have said is said to this side's handler of messages first. The rest is passed on as it comes, with the descriptors that messages carry.

use std::{
    io::{self, IoSlice, IoSliceMut, Read, Write},
    mem::MaybeUninit,
    net::Shutdown,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

/// Numbers of messages.
mod kind {
    pub const GET_FEATURES: u32 = 1;
    pub const SET_FEATURES: u32 = 2;
    pub const SET_OWNER: u32 = 3;
    pub const GET_PROTOCOL_FEATURES: u32 = 15;
    pub const SET_PROTOCOL_FEATURES: u32 = 16;
}

/// The version in a message's flags.
const VERSION: u32 = 1;
/// Bytes of a message's content.
const CONTENT: usize = 4096;
/// Descriptors of a message.
const DESCRIPTORS: usize = 32;
/// The protocol features that QEMU takes of those that are offered: replies to all that asks for them, and configuration space.
const PROTOCOL: u64 = 1 << 3 | 1 << 9;

/// A message: kind, flags and length of the content, and that.
struct Message {
    bytes: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Message {
    fn new(kind: u32, content: Option<u64>) -> Self {
        let content = content.map_or(Vec::new(), |n| n.to_le_bytes().to_vec());
        let header = [kind, VERSION, content.len() as u32];
        let bytes = header.iter().flat_map(|n| n.to_le_bytes()).chain(content).collect();
        Self { bytes, descriptors: Vec::new() }
    }

    fn kind(&self) -> Option<u32> {
        self.bytes.first_chunk::<4>().map(|n| u32::from_le_bytes(*n))
    }

    /// The next message; `None` at the end.
    fn receive(from: &mut UnixStream) -> io::Result<Option<Self>> {
        let mut header = [0; 12];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut header)];
        let got = recvmsg(from.as_fd(), &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?.bytes;
        let mut descriptors = Vec::new();
        for part in control.drain() {
            if let RecvAncillaryMessage::ScmRights(all) = part {
                descriptors.extend(all);
            }
        }
        if got == 0 {
            return Ok(None);
        }
        from.read_exact(header.get_mut(got..).unwrap_or(&mut []))?;
        let [.., a, b, c, d] = header;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if length > CONTENT {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = header.to_vec();
        bytes.resize(header.len() + length, 0);
        from.read_exact(bytes.get_mut(header.len()..).unwrap_or(&mut []))?;
        Ok(Some(Self { bytes, descriptors }))
    }

    fn send(&self, to: &mut UnixStream) -> io::Result<()> {
        let descriptors: Vec<_> = self.descriptors.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let parts = [IoSlice::new(&self.bytes)];
        let sent = sendmsg(to.as_fd(), &parts, &mut control, SendFlags::NOSIGNAL)?;
        to.write_all(self.bytes.get(sent..).unwrap_or(&[]))
    }
}

/// Asks the handler for a number.
fn ask(handler: &mut UnixStream, kind: u32) -> io::Result<u64> {
    Message::new(kind, None).send(handler)?;
    let mut reply = [0; 20];
    handler.read_exact(&mut reply)?;
    let [.., a, b, c, d, e, f, g, h] = reply;
    Ok(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
}

/// Says what the emulator said to the shim before this one.
fn introduce(handler: &mut UnixStream) -> io::Result<()> {
    let features = ask(handler, kind::GET_FEATURES)?;
    Message::new(kind::SET_OWNER, None).send(handler)?;
    let protocol = ask(handler, kind::GET_PROTOCOL_FEATURES)?;
    Message::new(kind::SET_PROTOCOL_FEATURES, Some(protocol & PROTOCOL)).send(handler)?;
    Message::new(kind::SET_FEATURES, Some(features)).send(handler)
}

/// Connects an emulator with the handler of its messages until either ends.
pub fn connect(mut emulator: UnixStream, mut handler: UnixStream) -> io::Result<()> {
    let (own_emulator, own_handler) = (emulator.try_clone()?, handler.try_clone()?);
    let passed = pass(&mut emulator, &mut handler);
    // Both threads of the two ends notice.
    let _ = own_emulator.shutdown(Shutdown::Both);
    let _ = own_handler.shutdown(Shutdown::Both);
    passed
}

fn pass(emulator: &mut UnixStream, handler: &mut UnixStream) -> io::Result<()> {
    let Some(first) = Message::receive(emulator)? else { return Ok(()) };
    // What an introduction begins with.
    if !matches!(first.kind(), Some(kind::GET_FEATURES | kind::SET_OWNER)) {
        introduce(handler)?;
    }
    // Replies carry no descriptors.
    let (mut replies, mut to) = (handler.try_clone()?, emulator.try_clone()?);
    std::thread::Builder::new().name("replies".to_owned()).spawn(move || {
        let _ = io::copy(&mut replies, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    })?;
    first.send(handler)?;
    while let Some(message) = Message::receive(emulator)? {
        message.send(handler)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    fn read(from: &mut UnixStream) -> Message {
        Message::receive(from).expect("a message").expect("not the end")
    }

    /// Plays the handler to an emulator whose first message is `kind`, and returns what the handler got.
    fn received(kind: u32) -> Vec<Message> {
        let (mut emulator, theirs) = UnixStream::pair().expect("sockets");
        let (ours, mut handler) = UnixStream::pair().expect("sockets");
        let relay = std::thread::spawn(move || connect(theirs, ours));
        let player = std::thread::spawn(move || {
            let mut all = Vec::new();
            while let Some(message) = Message::receive(&mut handler).expect("messages") {
                let kind = message.kind().expect("a kind");
                if matches!(kind, kind::GET_FEATURES | kind::GET_PROTOCOL_FEATURES) {
                    Message::new(kind, Some(0x4000_0208)).send(&mut handler).expect("a reply");
                }
                all.push(message);
            }
            all
        });
        Message::new(kind, None).send(&mut emulator).expect("sent");
        if kind == kind::GET_FEATURES {
            assert_eq!(read(&mut emulator).bytes.len(), 20);
        }
        // One with a descriptor right behind one without.
        Message::new(40, Some(3)).send(&mut emulator).expect("sent");
        let path = std::env::temp_dir().join(format!("gpu_shim-resume-{}-{kind}", std::process::id()));
        std::fs::write(&path, b"here").expect("a file");
        let file = std::fs::File::open(&path).expect("a file");
        std::fs::remove_file(&path).expect("removed");
        let with = Message { descriptors: vec![file.into()], ..Message::new(12, Some(7)) };
        with.send(&mut emulator).expect("sent");
        drop(emulator);
        relay.join().expect("no panic").expect("passed on");
        player.join().expect("no panic")
    }

    #[test]
    fn whoever_was_introduced_before_is_introduced_again() {
        let kinds = |all: &[Message]| all.iter().filter_map(Message::kind).collect::<Vec<_>>();
        assert_eq!(kinds(&received(kind::GET_FEATURES)), [1, 40, 12]);
        let all = received(11);
        assert_eq!(kinds(&all), [1, 3, 15, 16, 2, 11, 40, 12]);
        assert_eq!(all[3].bytes[12..], (1u64 << 3 | 1 << 9).to_le_bytes());
        assert_eq!(all[4].bytes[12..], 0x4000_0208u64.to_le_bytes());
        // Descriptors stay with their messages.
        assert!(all[..7].iter().all(|m| m.descriptors.is_empty()));
        let [descriptor] = &all[7].descriptors[..] else { panic!("no descriptor") };
        let mut bytes = [0; 4];
        let file = std::fs::File::from(descriptor.try_clone().expect("another"));
        file.read_exact_at(&mut bytes, 0).expect("read");
        assert_eq!(&bytes, b"here");
    }

    #[test]
    fn long_messages_end_the_connection() {
        let (mut emulator, theirs) = UnixStream::pair().expect("sockets");
        let (ours, _handler) = UnixStream::pair().expect("sockets");
        let header = [1u32, 1, 4097];
        let bytes: Vec<u8> = header.iter().flat_map(|n| n.to_le_bytes()).collect();
        emulator.write_all(&bytes).expect("sent");
        assert_eq!(connect(theirs, ours).map_err(|e| e.kind()), Err(io::ErrorKind::InvalidData));
    }
}
