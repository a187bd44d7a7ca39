//! Any bytes, in any chunks: no panic, progress at every step, nothing invented, and the same
//! frames however the stream is cut.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use protocol_gt06::{Deframer, Frame, FrameError, Framing};

/// All frames of a stream that is fed in chunks of the given sizes, and how many of them were there
/// before the sender went quiet.
fn frames(
    stream: &[u8],
    framing: Framing,
    mut chunk: impl FnMut() -> usize,
) -> (Vec<Frame>, usize) {
    let (mut deframer, mut buffer) = (Deframer::default(), BytesMut::new());
    deframer.set_framing(framing);
    let (mut frames, mut skipped, mut without_pause) = (Vec::new(), 0, None);
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
        assert!(
            buffer.len() <= 65_541 + 2,
            "what is kept is bounded by a frame"
        );
        if rest.is_empty() {
            // The sender goes quiet: what waited is decided, as long as that goes on.
            let before = buffer.len();
            without_pause.get_or_insert(frames.len());
            deframer.on_pause();
            if let Ok(Some(frame)) = deframer.next_frame(&mut buffer) {
                frames.push(frame);
            } else {
                skipped += before - buffer.len();
            }
            if buffer.len() == before {
                break;
            }
            continue;
        }
        let (now, later) = rest.split_at(chunk().clamp(1, rest.len()));
        buffer.extend_from_slice(now);
        rest = later;
    }
    let kept: usize = frames.iter().map(|frame| frame.raw().len()).sum();
    assert_eq!(
        kept + skipped + buffer.len(),
        stream.len(),
        "every byte is accounted for"
    );
    (frames, without_pause.unwrap_or(0))
}

fuzz_target!(|data: &[u8]| {
    let Some((split, stream)) = data.split_at_checked(4) else {
        return;
    };
    let framing = if split[0] < 0x80 {
        Framing::Checked
    } else {
        Framing::Bare
    };
    let whole = frames(stream, framing, || usize::MAX);
    let mut sizes = split.iter().cycle();
    let cut = frames(stream, framing, || {
        usize::from(*sizes.next().unwrap_or(&1)) % 67
    });
    assert_eq!(whole, cut);
});
