//! The state word of the buffer manager's frames.

use loom::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use crate::{
    model,
    state::{DIRTY, FrameWord, Interest, VALID, WRITING},
};

/// A frame as the pool uses it: the word, and what it holds.
struct Frame {
    word: FrameWord,
    tag: AtomicU32,
}

fn holding(tag: u32) -> Arc<Frame> {
    let f = Frame { word: FrameWord::new(), tag: AtomicU32::new(tag) };
    assert!(f.word.claim(false).is_some());
    f.word.claimed_to_pinned(false);
    f.word.set(VALID);
    f.word.unpin();
    Arc::new(f)
}

/// While it is pinned and checked to hold a page, nobody gives the frame another page.
#[test]
fn a_pinned_frame_is_not_evicted() {
    model(|| {
        let frame = holding(1);
        let reader = {
            let f = frame.clone();
            thread::spawn(move || {
                if f.word.pin(Interest::Use) {
                    if f.tag.load(Ordering::Acquire) == 1 {
                        assert!(f.word.has(VALID));
                        assert_eq!(f.tag.load(Ordering::Acquire), 1);
                    }
                    f.word.unpin();
                }
            })
        };
        if frame.word.claim(false).is_some() {
            frame.tag.store(2, Ordering::Release);
            frame.word.claimed_to_pinned(true);
            frame.word.unpin();
        }
        reader.join().unwrap();
        assert_eq!(frame.word.state().pins(), 0);
    });
}

/// Of two who claim a frame, at most one gets it, and pins that fail leave nothing behind.
#[test]
fn one_claim_at_a_time() {
    model(|| {
        let frame = holding(1);
        let owners = Arc::new(AtomicU32::new(0));
        let claim = |f: Arc<Frame>, owners: Arc<AtomicU32>| {
            move || {
                if let Some(was) = f.word.claim(true) {
                    assert_eq!(owners.fetch_add(1, Ordering::AcqRel), 0);
                    assert_eq!(was.pins(), 0);
                    owners.fetch_sub(1, Ordering::AcqRel);
                    f.word.unclaim(was);
                }
            }
        };
        let other = thread::spawn(claim(frame.clone(), owners.clone()));
        claim(frame.clone(), owners)();
        if frame.word.pin(Interest::Pass) {
            frame.word.unpin();
        }
        other.join().unwrap();
        assert_eq!(frame.word.state().pins(), 0);
        assert!(frame.word.has(VALID));
    });
}

/// A change that comes while the page is being written is not taken for written: the frame stays dirty.
#[test]
fn a_change_during_a_write_is_not_lost() {
    model(|| {
        let frame = holding(1);
        let content = Arc::new(loom::sync::Mutex::new(1u32));
        frame.word.set(DIRTY);
        let changer = {
            let (f, content) = (frame.clone(), content.clone());
            thread::spawn(move || {
                assert!(f.word.pin(Interest::Use));
                let mut page = content.lock().unwrap();
                f.word.set(DIRTY);
                *page = 2;
                drop(page);
                f.word.unpin();
            })
        };
        let mut written = 0;
        assert!(frame.word.pin(Interest::None));
        if !frame.word.set(WRITING) {
            let page = content.lock().unwrap();
            if frame.word.clear(DIRTY) {
                written = *page;
            }
            drop(page);
            frame.word.clear(WRITING);
        }
        frame.word.unpin();
        changer.join().unwrap();
        assert!(frame.word.has(DIRTY) || written == 2);
    });
}

/// Two who write back the same frame do not do it at once: versions reach the device in order.
#[test]
fn one_writer_at_a_time() {
    model(|| {
        let frame = holding(1);
        frame.word.set(DIRTY);
        let writers = Arc::new(AtomicU32::new(0));
        let write = |f: Arc<Frame>, writers: Arc<AtomicU32>| {
            move || {
                if !f.word.pin(Interest::None) {
                    // The clock hand has it.
                    return;
                }
                if !f.word.set(WRITING) {
                    assert_eq!(writers.fetch_add(1, Ordering::AcqRel), 0);
                    f.word.clear(DIRTY);
                    writers.fetch_sub(1, Ordering::AcqRel);
                    f.word.clear(WRITING);
                }
                f.word.unpin();
            }
        };
        let other = thread::spawn(write(frame.clone(), writers.clone()));
        write(frame.clone(), writers)();
        // The clock hand meanwhile.
        let taken = frame.word.tick() && frame.word.claim(false).is_some();
        if taken {
            frame.word.reset();
        }
        other.join().unwrap();
        assert!(!frame.word.has(DIRTY | WRITING));
    });
}
