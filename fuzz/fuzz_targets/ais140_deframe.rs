//! Any bytes as a stream: progress, bounded memory, every byte in a packet or passed over, and the
//! same packets however the stream is cut.
//!
//! The first byte says how the stream is cut; the rest is the stream.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use milepost_protocol_ais140::{Deframer, FrameError, LONGEST_BATCH};

fn packets(stream: &[u8], chunk: usize) -> Vec<Vec<u8>> {
    let (mut deframer, mut src, mut found) = (Deframer::new(), BytesMut::new(), Vec::new());
    let mut accounted = 0;
    let mut take = |deframer: &mut Deframer, src: &mut BytesMut| loop {
        let before = src.len();
        match deframer.next_frame(src) {
            Ok(Some(frame)) => {
                assert!(src.len() < before && !frame.raw().is_empty());
                accounted += frame.raw().len();
                found.push(frame.raw().to_vec());
            }
            Ok(None) => break,
            Err(FrameError::Skipped { bytes, .. }) => {
                assert!(bytes > 0 && src.len() < before);
                accounted += bytes;
            }
            Err(_) => unreachable!(),
        }
    };
    for part in stream.chunks(chunk) {
        src.extend_from_slice(part);
        take(&mut deframer, &mut src);
        assert!(src.len() <= LONGEST_BATCH + chunk);
    }
    deframer.finish();
    take(&mut deframer, &mut src);
    assert!(src.is_empty());
    assert!(accounted <= stream.len());
    found
}

fuzz_target!(|data: &[u8]| {
    let Some((cut, stream)) = data.split_first() else {
        return;
    };
    let whole = packets(stream, stream.len().max(1));
    let cut = packets(stream, usize::from(*cut).max(1));
    assert_eq!(whole, cut);
});
