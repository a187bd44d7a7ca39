//! Any bytes, in any chunks: no panic, progress at every step, nothing invented, and the same
//! frames however the stream is cut.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use protocol_gt06::{Deframer, Frame, FrameError};

/// All frames of a stream that is fed in chunks of the given sizes.
fn frames(stream: &[u8], mut chunk: impl FnMut() -> usize) -> Vec<Frame> {
    let (mut deframer, mut buffer) = (Deframer::default(), BytesMut::new());
    let (mut frames, mut skipped) = (Vec::new(), 0);
    let mut rest = stream;
    loop {
        loop {
            let before = buffer.len();
            match deframer.next_frame(&mut buffer) {
                Ok(Some(frame)) => {
                    assert_eq!(before - buffer.len(), frame.raw().len());
                    frames.push(frame);
                }
                Ok(None) => {
                    assert_eq!(before, buffer.len(), "asking for more consumes nothing");
                    break;
                }
                Err(FrameError::Skipped { bytes, .. }) => {
                    assert!(bytes > 0 && before - buffer.len() == bytes);
                    skipped += bytes;
                }
                Err(_) => unreachable!("frames are only ever passed over"),
            }
        }
        assert!(buffer.len() <= 65_541 + 2, "what is kept is bounded by a frame");
        if rest.is_empty() {
            break;
        }
        let (now, later) = rest.split_at(chunk().clamp(1, rest.len()));
        buffer.extend_from_slice(now);
        rest = later;
    }
    let kept: usize = frames.iter().map(|frame| frame.raw().len()).sum();
    assert_eq!(kept + skipped + buffer.len(), stream.len(), "every byte is accounted for");
    frames
}

fuzz_target!(|data: &[u8]| {
    let Some((split, stream)) = data.split_at_checked(4) else { return };
    let whole = frames(stream, || usize::MAX);
    let mut sizes = split.iter().cycle();
    let cut = frames(stream, || usize::from(*sizes.next().unwrap_or(&1)) % 67);
    assert_eq!(whole, cut);
});
