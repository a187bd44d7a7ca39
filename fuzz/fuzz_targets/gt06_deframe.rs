//! Any bytes, in any chunks: no panic, progress at every step, nothing invented, the same frames
//! however the stream is cut, and whole frames after the bytes are found.
//!
//! How an input is read: `milepost_fuzz::stream`.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use milepost_fuzz::stream::Input;
use milepost_protocol_gt06::{Checksum, Deframer, Frame, FrameError, Framing};

/// What was found in a stream.
#[derive(Debug, PartialEq)]
struct Found {
    /// Where each frame begins, and the frame.
    frames: Vec<(usize, Frame)>,
    /// How many of them were there before the sender went quiet.
    without_pause: usize,
}

fn read(stream: &[u8], framing: Framing, mut chunk: impl FnMut() -> usize) -> Found {
    let (mut deframer, mut buffer) = (Deframer::default(), BytesMut::new());
    deframer.set_framing(framing);
    let (mut frames, mut at, mut without_pause) = (Vec::new(), 0, None);
    let mut rest = stream;
    loop {
        let before = buffer.len();
        match deframer.next_frame(&mut buffer) {
            Ok(Some(frame)) => {
                let len = frame.raw().len();
                assert_eq!(before - buffer.len(), len);
                assert_eq!(frame.raw(), &stream[at..at + len], "a frame is as it came");
                assert_eq!(frame.head().len(), len);
                frames.push((at, frame));
                at += len;
                continue;
            }
            Err(FrameError::Skipped { bytes, .. }) => {
                assert!(bytes > 0 && before - buffer.len() == bytes);
                at += bytes;
                continue;
            }
            Err(_) => unreachable!("frames are only ever passed over"),
            Ok(None) => assert_eq!(before, buffer.len(), "asking for more consumes nothing"),
        }
        assert!(
            buffer.len() <= 65_541 + 2,
            "what is kept is bounded by a frame"
        );
        if !rest.is_empty() {
            let (now, later) = rest.split_at(chunk().clamp(1, rest.len()));
            buffer.extend_from_slice(now);
            rest = later;
            continue;
        }
        // The sender goes quiet: what waited is decided, as long as that goes on.
        let quiet_since = *without_pause.get_or_insert(frames.len());
        deframer.on_pause();
        let undecided = deframer.clone().next_frame(&mut buffer.clone());
        if undecided == Ok(None) {
            assert_eq!(
                at + buffer.len(),
                stream.len(),
                "every byte is accounted for"
            );
            return Found {
                frames,
                without_pause: quiet_since,
            };
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some(input) = Input::read(data) else {
        return;
    };
    let whole = read(&input.stream, input.framing, || usize::MAX);
    let mut sizes = input.sizes.iter().cycle();
    let cut = read(&input.stream, input.framing, || {
        sizes.next().copied().unwrap_or(1)
    });
    assert_eq!(whole, cut);

    // Only a frame with a right checksum that began before may hold one of these, or one that is
    // longer than what is searched.
    for (begin, expected) in &input.followed {
        let found = whole.frames.iter().any(|(at, frame)| {
            let is_it = at == begin && frame.raw() == expected;
            let holds_it = at < begin
                && at + frame.raw().len() > *begin
                && (frame.checksum() == Checksum::Valid || frame.raw().len() > 2_048);
            is_it || holds_it
        });
        assert!(found, "lost: {expected:02x?}");
    }
});
