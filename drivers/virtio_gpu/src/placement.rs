//! Where a command's buffers lie in a piece, and the command with spans that say so.

use crate::pool::{ALIGNMENT, BUFFERS, LARGEST};
use alloc::vec::Vec;
use compute_protocol::{Command, Span, Status};
use platform::compute::{Buffer, ComputeError};

/// Bytes of a buffer.
pub const fn bytes(buffer: &Buffer<'_>) -> usize {
    match buffer {
        Buffer::From(b) => b.len(),
        Buffer::Into(b) => b.len(),
    }
}

/// Where each of a command's buffers begins in a piece.
pub fn place(buffers: &[Buffer<'_>]) -> Result<Vec<usize>, ComputeError> {
    let all = buffers.iter().try_fold(0usize, |sum, b| sum.checked_add(bytes(b)));
    if buffers.len() > BUFFERS || all.is_none_or(|all| all > LARGEST) {
        return Err(ComputeError::TooLarge);
    }
    let mut next = 0;
    let offsets = buffers.iter().map(|buffer| {
        let at = next;
        next += bytes(buffer).next_multiple_of(ALIGNMENT);
        at
    });
    Ok(offsets.collect())
}

/// The spans of a command.
fn spans(command: &mut Command) -> [Option<&mut Span>; 3] {
    use Command as C;
    match command {
        C::Describe | C::Create { .. } | C::Drop { .. } | C::Tick { .. } | C::Reduce { .. } => {
            [None, None, None]
        }
        C::Write { from: span, .. }
        | C::Read { into: span, .. }
        | C::Graph { schedule: span, .. }
        | C::WriteState { from: span, .. }
        | C::ReadState { into: span, .. }
        | C::LookUp { into: span, .. }
        | C::Top { into: span, .. } => [Some(span), None, None],
        C::Nearest { from, into, .. } => [Some(from), Some(into), None],
        C::WriteBits { places, bits, .. } => [Some(places), Some(bits), None],
        C::Nodes { places, tables, sources, .. } => [Some(places), Some(tables), Some(sources)],
    }
}

/// The command with spans of a resource instead of spans of buffers. A span that is not within its buffer is refused.
pub fn name_resource(
    command: &Command,
    buffers: &[Buffer<'_>],
    offsets: &[usize],
    resource: u32,
) -> Result<Command, ComputeError> {
    let mut command = command.clone();
    for span in spans(&mut command).into_iter().flatten() {
        let index = span.resource as usize;
        let inside =
            |b: &Buffer<'_>| span.offset.checked_add(span.length).is_some_and(|end| end <= bytes(b) as u64);
        match (buffers.get(index), offsets.get(index)) {
            (Some(buffer), Some(&at)) if inside(buffer) => {
                span.resource = resource;
                span.offset += at as u64;
            }
            _ => return Err(ComputeError::Refused(Status::Bounds)),
        }
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::PIECE;
    use alloc::vec;
    use proptest::prelude::*;

    fn span(resource: u32, offset: u64, length: u64) -> Span {
        Span { resource, offset, length }
    }

    #[test]
    fn spans_of_buffers_become_spans_of_the_resource() {
        let (a, b, mut c) = ([0; 5000], [0; 16], [0; 8]);
        let buffers = [Buffer::From(&a), Buffer::From(&b), Buffer::Into(&mut c)];
        let offsets = place(&buffers).unwrap();
        assert_eq!(offsets, [0, 8192, 12288]);
        let nodes =
            |places, tables, sources| Command::Nodes { graph: 1, runs: 2, nodes: 3, places, tables, sources };
        let command = nodes(span(1, 0, 16), span(0, 8, 24), span(2, 8, 0));
        let named = name_resource(&command, &buffers, &offsets, 9);
        assert_eq!(named, Ok(nodes(span(9, 8192, 16), span(9, 8, 24), span(9, 12296, 0))));
        for bad in [span(3, 0, 0), span(1, 1, 16), span(1, u64::MAX, 1), span(u32::MAX, 0, 0)] {
            let refused = name_resource(&nodes(bad, bad, bad), &buffers, &offsets, 9);
            assert_eq!(refused, Err(ComputeError::Refused(Status::Bounds)), "{bad:?}");
        }
    }

    #[test]
    fn too_much_is_refused() {
        let much = vec![0; LARGEST + 1];
        assert_eq!(place(&[Buffer::From(&much)]), Err(ComputeError::TooLarge));
        assert_eq!(place(&[Buffer::From(&much[1..])]), Ok(vec![0]));
        assert_eq!(place(&[Buffer::From(&much[1..]), Buffer::From(&[1])]), Err(ComputeError::TooLarge));
        let none = [const { Buffer::From(&[]) }; BUFFERS + 1];
        assert_eq!(place(&none), Err(ComputeError::TooLarge));
    }

    proptest! {
        #[test]
        fn buffers_lie_in_the_piece_apart_from_each_other(
            lengths in prop::collection::vec(0..LARGEST / 8, 0..=BUFFERS)
        ) {
            let data: Vec<Vec<u8>> = lengths.iter().map(|n| vec![0; *n]).collect();
            let buffers: Vec<Buffer<'_>> = data.iter().map(|d| Buffer::From(d)).collect();
            let offsets = place(&buffers).unwrap();
            let mut end = 0;
            for (at, length) in offsets.iter().zip(&lengths) {
                prop_assert!(*at >= end && at.is_multiple_of(ALIGNMENT));
                end = at + length;
            }
            prop_assert!(end <= PIECE);
        }
    }
}
