//! Backups and archived log: any bytes; and frames whose checksums fit and whose content need not, to the end of a restore.
#![no_main]

use std::sync::Arc;

use kernel_simd::crc32c;
use libfuzzer_sys::fuzz_target;
use pg_backup::{
    Input, Until, archive, check,
    format::{Frame, Header, Reader, Writer},
    restore,
};
use pg_page::{Lsn, Page, RelId};
use pg_volume::Superblock;
use pg_wal::Ring;
use platform::{block::BlockDevice, memory_device::MemDevice};

const DATA: u64 = 2 << 20;
const PAGES: u32 = 64;
const REDO: u64 = 1 << 20;

/// Appends a frame of any kind and content, with the checksum that its place asks for.
fn frame(chain: &mut u32, kind: u8, payload: &[u8], out: &mut Vec<u8>) {
    let mut head = [kind, 0, 0, 0, 0, 0, 0, 0];
    head[4..].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    *chain = crc32c::extend(crc32c::extend(*chain, &head), payload);
    out.extend_from_slice(&head);
    out.extend_from_slice(&chain.to_le_bytes());
    out.extend_from_slice(payload);
}

/// What is read is written the same again.
fn read(bytes: &[u8]) {
    let (mut reader, mut writer, mut at) = (Reader::default(), Writer::default(), 0);
    while let Ok(Some((frame, n))) = reader.next(&bytes[at..]) {
        let mut again = Vec::new();
        writer.put(&frame, &mut again);
        // The bytes that must be zero are covered by the checksum, whatever they are, except in the first frame.
        if bytes[at + 1..at + 4] == [0; 3] {
            assert_eq!(again, bytes[at..at + n]);
        } else {
            return;
        }
        at += n;
    }
}

fn sealed(label: &[u8], frames: &[(u8, &[u8])], metadata: &[u8]) -> Vec<u8> {
    let superblock = Superblock {
        id: 7,
        generation: 1,
        ring: Ring { start: 1 << 20, len: 1 << 20, salt: 9 },
        data_start: DATA,
        data_pages: PAGES,
        redo: Lsn(REDO),
        epoch: 1,
        clean: false,
        meta_page: 0,
        meta_bytes: metadata.len() as u64,
        meta_crc: crc32c::checksum(metadata),
        durable: Lsn(REDO),
    };
    let label = String::from_utf8_lossy(&label[..label.len().min(300)]).into_owned();
    let mut out = Vec::new();
    let header = Header { label, started: 5, superblock };
    Writer::default().put(&Frame::Header(header), &mut out);
    let mut chain = u32::from_le_bytes(*out[8..].first_chunk().unwrap());
    frame(&mut chain, 2, b"config", &mut out);
    if !metadata.is_empty() {
        frame(&mut chain, 3, metadata, &mut out);
    }
    let (mut pages, mut log) = (0u64, REDO);
    for (kind, content) in frames.iter().take(30) {
        match kind % 8 {
            // A page with the right checksum.
            0 | 1 => {
                let mut page = Page::zeroed();
                let n = content.len().min(8000);
                page.format(*kind, RelId(1), 1);
                page.0[24..24 + n].copy_from_slice(&content[..n]);
                page.seal();
                let first = 1 + u32::from(*kind) % (PAGES - 1);
                let mut payload = first.to_le_bytes().to_vec();
                payload.extend_from_slice(&page.0[..]);
                frame(&mut chain, 4, &payload, &mut out);
                pages += 1;
            }
            // Log that goes on where the one before ended.
            2 | 3 if !content.is_empty() => {
                let mut payload = log.to_le_bytes().to_vec();
                payload.extend_from_slice(content);
                frame(&mut chain, 5, &payload, &mut out);
                log += content.len() as u64;
            }
            other => frame(&mut chain, other, content, &mut out),
        }
    }
    let mut end = Vec::new();
    for n in [log, 6, pages, log - REDO] {
        end.extend_from_slice(&n.to_le_bytes());
    }
    frame(&mut chain, 6, &end, &mut out);
    out
}

fuzz_target!(|input: (u8, &[u8], Vec<(u8, &[u8])>, &[u8])| {
    let (what, label, frames, rest) = input;
    match what % 4 {
        0 => {
            read(rest);
            let _ = check(&rest.to_vec().into_boxed_slice());
        }
        1 => {
            if let Some((_, position)) = archive::parse_header(rest) {
                let _ = archive::parse_piece(rest.get(archive::HEADER..).unwrap_or(&[]), position);
            }
            let _ = archive::parse_piece(rest, Lsn(REDO));
        }
        _ => {
            let backup = sealed(label, &frames, rest);
            read(&backup);
            // An archive that goes on anywhere, with anything.
            let position = Lsn(if what & 4 == 0 { REDO } else { u64::MAX - u64::from(what) });
            let mut more = archive::header(7, position);
            more.extend(archive::piece(position, label));
            let archive: Arc<dyn Input> = Arc::new(more.into_boxed_slice());
            let archives = if what & 8 == 0 { vec![] } else { vec![archive] };
            let image: Arc<dyn BlockDevice> = Arc::new(MemDevice::new(4 << 20, 4096));
            let backup: Arc<dyn Input> = Arc::new(backup.into_boxed_slice());
            let _ = restore(backup, &archives, image, Until::End, 1 << 20);
        }
    }
});
