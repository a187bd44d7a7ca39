//! From a stream of bytes to frames.

use bytes::{Buf, BytesMut};

use crate::find::{Found, find};
use crate::foreign::{SNIFFED, looks_like};
use crate::frame::{Frame, Framing};
use crate::{Checksum, FrameError};

/// Takes frames off the front of a stream, however it is cut.
///
/// - `Ok(None)` asks for more bytes.
/// - Every other return has consumed at least one byte; an error is never terminal.
/// - What it finds does not depend on how the stream was cut into reads, pauses apart.
/// - It leaves at most one frame's worth of undecided bytes in the buffer: 65 541 where a two-byte
///   length announces them, 3 077 where a count of WiFi stations and cells does (the relatives
///   without serial and checksum), else 260.
///
/// ```
/// use bytes::BytesMut;
/// use milepost_protocol_gt06::{Checksum, Deframer};
///
/// let mut stream = BytesMut::from(&b"noise\x78\x78\x05\x01\x00\x01\xd9\xdc\x0d\x0a"[..]);
/// let mut deframer = Deframer::new();
/// assert!(deframer.next_frame(&mut stream).is_err(), "five bytes passed over");
/// let frame = deframer.next_frame(&mut stream)?.expect("a frame");
/// assert_eq!((frame.number(), frame.serial()), (0x01, Some(1)));
/// assert_eq!(frame.checksum(), Checksum::Valid);
/// assert_eq!(deframer.next_frame(&mut stream), Ok(None));
/// # Ok::<(), milepost_protocol_gt06::FrameError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Deframer {
    /// Nothing can be decided with fewer bytes than this.
    needed: usize,
    quiet: bool,
    framing: Framing,
    /// A right checksum was seen: what lacks one is an exception from then on.
    proven: bool,
}

impl Deframer {
    /// A deframer for a stream of which nothing is known.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            needed: 0,
            quiet: false,
            framing: Framing::Checked,
            proven: false,
        }
    }

    /// What is known about the frames of this stream: given, or learned from its first frames.
    #[must_use]
    pub const fn framing(&self) -> Framing {
        self.framing
    }

    /// Sets what is known about the frames of this stream.
    pub const fn set_framing(&mut self, framing: Framing) {
        self.framing = framing;
        if matches!(framing, Framing::Bare) {
            self.proven = false;
        }
        // What was waited for may not be needed now.
        self.needed = 0;
    }

    /// Takes the next frame off the front of `src`.
    ///
    /// # Errors
    /// [`FrameError::Skipped`] when bytes were passed over that belong to no frame. Go on.
    #[inline]
    pub fn next_frame(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        if src.len() < self.needed && !self.quiet {
            return Ok(None);
        }
        match find(src, self.quiet, self.framing) {
            Found::Frame(head) => {
                self.needed = 0;
                self.learn(head.checksum());
                let raw = src.split_to(head.len().min(src.len())).freeze();
                Ok(Some(Frame::new(head, raw)))
            }
            Found::More(needed) => self.wait_for(needed),
            Found::Skip(bytes) => self.skip(bytes, src),
        }
    }

    /// The sender went quiet: a frame that waits for bytes that its length announces may be
    /// released, if stop bytes are there. Call [`next_frame`](Self::next_frame) again afterwards.
    pub const fn on_pause(&mut self) {
        self.quiet = true;
    }

    const fn wait_for(&mut self, needed: usize) -> Result<Option<Frame>, FrameError> {
        self.needed = needed;
        self.quiet = false;
        Ok(None)
    }

    #[inline]
    const fn learn(&mut self, checksum: Checksum) {
        match checksum {
            Checksum::Valid => {
                self.framing = Framing::Checked;
                self.proven = true;
            }
            Checksum::Absent if !self.proven => self.framing = Framing::Bare,
            Checksum::Absent | Checksum::Mismatch => {}
        }
    }

    #[cold]
    fn skip(&mut self, bytes: usize, src: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        // A foreign protocol is named by its first bytes: wait until they are there. But look at
        // each one that comes, for it may be the start of a frame, and that one must not wait.
        if bytes == src.len() && bytes < SNIFFED && !self.quiet && looks_like(src).is_none() {
            return self.wait_for(src.len() + 1);
        }
        let bytes = bytes.clamp(1, src.len().max(1));
        let looks_like = looks_like(src);
        self.needed = 0;
        src.advance(bytes.min(src.len()));
        Err(FrameError::Skipped { bytes, looks_like })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_that_might_be_a_foreign_protocol_does_not_delay_the_frame_after_it() {
        let frame = b"\x78\x78\x05\x13\x00\x01\xe9\xf1\x0d\x0a";
        let (mut deframer, mut stream) = (Deframer::new(), BytesMut::from(&b"\x01"[..]));
        assert_eq!(deframer.next_frame(&mut stream), Ok(None));
        stream.extend_from_slice(frame);
        assert_eq!(
            deframer.next_frame(&mut stream),
            Err(FrameError::Skipped {
                bytes: 1,
                looks_like: None
            })
        );
        let found = deframer.next_frame(&mut stream).unwrap().unwrap();
        assert_eq!(found.raw()[..], frame[..]);
    }

    #[test]
    fn a_checked_frame_among_bare_ones_does_not_wait_for_the_bare_one_that_it_might_be() {
        let mut whole = BytesMut::new();
        crate::frame::encode(crate::Start::Short, 0x1a, 1, &mut whole, |out| {
            out.extend_from_slice(&[0x55; 41]);
        });
        for cut in 1..whole.len() {
            let mut deframer = Deframer::new();
            deframer.set_framing(Framing::Bare);
            let mut stream = BytesMut::from(&whole[..cut]);
            assert_eq!(deframer.next_frame(&mut stream), Ok(None));
            stream.extend_from_slice(&whole[cut..]);
            let found = deframer.next_frame(&mut stream).unwrap();
            assert_eq!(found.unwrap().raw(), &whole, "{cut}");
        }
    }

    #[test]
    fn an_end_at_the_edge_of_what_is_searched_is_found_alike_however_the_stream_is_cut() {
        for end in 255..265 {
            let mut stream = std::vec![0x55; end + 300];
            stream[..4].copy_from_slice(&[0x78, 0x78, 0x00, 0x00]);
            stream[end - 2..end + 2].copy_from_slice(&[0x0d, 0x0a, 0x78, 0x78]);
            let frames = |chunk: usize| {
                let (mut deframer, mut buffer) = (Deframer::new(), BytesMut::new());
                let mut frames = std::vec::Vec::new();
                for bytes in stream.chunks(chunk) {
                    buffer.extend_from_slice(bytes);
                    loop {
                        match deframer.next_frame(&mut buffer) {
                            Ok(Some(frame)) => frames.push(frame),
                            Ok(None) => break,
                            Err(_) => {}
                        }
                    }
                }
                frames
            };
            assert_eq!(frames(1), frames(usize::MAX), "{end}");
        }
    }

    #[test]
    fn an_end_with_a_right_checksum_does_not_wait_for_what_may_begin_before_it() {
        // A wrong length, and what looks like the end of the frame and the start of the next
        // one after it, before the end that the checksum confirms.
        let mut stream = std::vec![0x78, 0x78, 0x06, 0x13];
        stream.extend_from_slice(b"\x00\x78\x78\x40\x55\x55\x55\x55\x0d\x0a\x78\x78\x40\x00\x01");
        let sum = crate::checksum(&stream[2..]);
        stream.extend_from_slice(&sum.to_be_bytes());
        stream.extend_from_slice(&[0x0d, 0x0a]);
        let (mut deframer, mut buffer) = (Deframer::new(), BytesMut::new());
        for byte in &stream {
            assert_eq!(deframer.next_frame(&mut buffer), Ok(None));
            buffer.extend_from_slice(&[*byte]);
        }
        let found = deframer.next_frame(&mut buffer).unwrap();
        assert_eq!(found.expect("whole").raw(), &stream);
    }

    #[test]
    fn a_long_frame_holds_a_whole_one() {
        let mut inner = BytesMut::new();
        crate::frame::encode(crate::Start::Short, 0x13, 1, &mut inner, |_| {});
        let mut whole = BytesMut::new();
        crate::frame::encode(crate::Start::Long, 0x62, 2, &mut whole, |out| {
            out.extend_from_slice(b"\x0d\x0a");
            out.extend_from_slice(&inner);
        });
        let found = Deframer::new().next_frame(&mut whole.clone()).unwrap();
        assert_eq!(found.expect("whole").raw(), &whole);
        let kept = Frame::parse(whole.clone().freeze(), Framing::Checked);
        assert_eq!(kept.expect("whole").raw(), &whole);
    }

    #[test]
    fn a_kept_frame_with_a_lying_length_is_read_again_whatever_is_in_it() {
        // Three bytes longer than it is; a whole frame in it; and what begins before that one, with
        // a length that reaches after both.
        let mut inner = BytesMut::new();
        crate::frame::encode(crate::Start::Short, 0x13, 1, &mut inner, |_| {});
        let mut frame = std::vec![0x78, 0x78, 0x20, 0x62, 0x78, 0x78, 0x40, 0x55, 0x55];
        frame.extend_from_slice(&inner);
        frame[2] = u8::try_from(frame.len() + 4).unwrap();
        frame.extend_from_slice(&[0, 4]);
        let sum = crate::checksum(&frame[2..]);
        frame.extend_from_slice(&sum.to_be_bytes());
        frame.extend_from_slice(&[0x0d, 0x0a]);
        let mut stream = BytesMut::from(&frame[..]);
        stream.extend_from_slice(&[0x55; 80]);
        let found = Deframer::new().next_frame(&mut stream).unwrap().unwrap();
        assert_eq!(found.raw(), &frame);
        let kept = Frame::parse(found.raw().clone(), Framing::Checked);
        assert_eq!(kept, Some(found));
    }

    #[test]
    fn a_kept_frame_of_a_relative_is_read_again_whatever_ends_in_it() {
        // A login of theirs, in which a shorter one seems to end. Only what followed decides.
        let mut stream = BytesMut::from(
            &b"\x78\x78\x0d\x01\x78\x06\x78\x01\x08\x45\x67\x05\x0d\x0a\x0d\x0a"[..],
        );
        stream.extend_from_slice(b"\x78\x78\x05\x13\x00\x01\xe9\xf1\x0d\x0a");
        let found = Deframer::new().next_frame(&mut stream).unwrap().unwrap();
        assert_eq!((found.raw().len(), found.serial()), (16, None));
        let kept = Frame::parse(found.raw().clone(), Framing::Bare);
        assert_eq!(kept, Some(found));
    }

    #[test]
    fn the_longest_frame_of_a_relative_is_waited_for() {
        // A time, 255 stations, 255 cells and a byte of alarm.
        let mut frame = std::vec![0x78, 0x78, 0xff, 0x69];
        frame.resize(4 + 6 + 255 * 7, 0x55);
        frame.push(0xff);
        frame.resize(3_075, 0x55);
        frame.extend_from_slice(b"\x0d\x0a");
        let (mut deframer, mut stream) = (Deframer::new(), BytesMut::new());
        deframer.set_framing(Framing::Bare);
        for byte in &frame {
            assert_eq!(deframer.next_frame(&mut stream), Ok(None));
            stream.extend_from_slice(&[*byte]);
        }
        let found = deframer.next_frame(&mut stream).unwrap();
        assert_eq!(found.expect("whole").raw(), &frame);
    }

    #[test]
    fn among_relatives_theirs_comes_first_however_the_stream_is_cut() {
        // A login of theirs, which is whole with its stop bytes, and all of it part of a frame with
        // a right checksum.
        let mut whole = BytesMut::new();
        crate::frame::encode(crate::Start::Short, 0x01, 1, &mut whole, |out| {
            out.extend_from_slice(b"\x03\x52\x09\x30\x81\x23\x45\x67\x0d\x0a\x55\x55");
        });
        for cut in 1..=whole.len() {
            let mut deframer = Deframer::new();
            deframer.set_framing(Framing::Bare);
            let mut stream = BytesMut::from(&whole[..cut]);
            let found = match deframer.next_frame(&mut stream).unwrap() {
                Some(found) => found,
                None => {
                    stream.extend_from_slice(&whole[cut..]);
                    deframer.next_frame(&mut stream).unwrap().unwrap()
                }
            };
            assert_eq!(found.raw(), &whole[..14], "{cut}");
        }
    }

    #[test]
    fn what_is_longer_than_a_stream_is_searched_is_no_kept_frame() {
        let mut frame = std::vec![0x78, 0x78, 0x05, 0x02];
        frame.resize(300, 0x55);
        let sum = crate::checksum(&frame[2..]);
        frame.extend_from_slice(&sum.to_be_bytes());
        frame.extend_from_slice(&[0x0d, 0x0a]);
        assert_eq!(Frame::parse(frame.into(), Framing::Checked), None);
    }

    #[test]
    fn a_damaged_frame_ends_at_its_announced_end_before_a_whole_one_after_it() {
        // A wrong checksum, and in it the start of something that would reach after the whole one.
        let mut stream = std::vec![0x78, 0x78, 0x0c, 0x13, 0x78, 0x78, 0x40, 0x55, 0x55];
        stream.extend_from_slice(&[0x55, 0x00, 0x01, 0x55, 0x55, 0x55, 0x0d, 0x0a]);
        stream.extend_from_slice(&[0x55, 0x55, 0x0d, 0x0a]);
        let mut whole = BytesMut::new();
        crate::frame::encode(crate::Start::Short, 0x13, 1, &mut whole, |_| {});
        stream.extend_from_slice(&whole);
        stream.extend_from_slice(&[0x55; 80]);
        let mut src = BytesMut::from(&stream[..]);
        let found = Deframer::new().next_frame(&mut src).unwrap().unwrap();
        assert_eq!(found.raw(), &stream[..17]);
        let kept = Frame::parse(found.raw().clone(), Framing::Checked);
        assert_eq!(kept, Some(found));
    }

    #[test]
    fn a_pause_releases_what_follows_a_wrong_long_length() {
        let whole = b"\x78\x78\x05\x13\x00\x01\xe9\xf1\x0d\x0a";
        let mut stream = BytesMut::from(&b"\x79\x79\xff\xf5\x8d"[..]);
        stream.resize(60_000, 0x55);
        stream.extend_from_slice(whole);
        let mut deframer = Deframer::new();
        assert_eq!(deframer.next_frame(&mut stream), Ok(None));
        deframer.on_pause();
        let passed_over = deframer.next_frame(&mut stream).unwrap_err();
        let FrameError::Skipped { bytes, .. } = passed_over;
        assert_eq!(bytes, 60_000);
        let found = deframer.next_frame(&mut stream).unwrap();
        assert_eq!(found.expect("whole").raw()[..], whole[..]);
    }

    /// Bytes looked at for each byte of a stream, when all of it is there.
    fn effort(stream: &[u8]) -> usize {
        let (mut deframer, mut src) = (Deframer::new(), BytesMut::from(stream));
        crate::checksum::effort::take();
        deframer.on_pause();
        while deframer.next_frame(&mut src) != Ok(None) {}
        crate::checksum::effort::take() / stream.len()
    }

    #[test]
    fn no_stream_takes_long() {
        const WHOLE: &[u8] = b"\x78\x78\x05\x13\x00\x01\xe9\xf1\x0d\x0a";
        // Long frames that all end where the last one does, and what is in each of them.
        let nested = |len: usize, inner: &[u8]| {
            let mut stream = std::vec::Vec::new();
            while stream.len() < len {
                let length = u16::try_from(len + 100 - stream.len() - 6).unwrap();
                stream.extend_from_slice(&[0x79, 0x79]);
                stream.extend_from_slice(&length.to_be_bytes());
                stream.extend_from_slice(inner);
            }
            stream.resize(len + 98, 0x55);
            stream.extend_from_slice(&[0x0d, 0x0a]);
            stream
        };
        for (what, stream, most) in [
            ("whole frames", WHOLE.repeat(1_000), 1),
            ("markers", std::vec![0x78; 10_000], 600),
            ("ends", b"\x78\x78\xff\x0d\x0a".repeat(2_000), 60),
            ("short nests", nested(1_900, b""), 60),
            ("short nests of whole frames", nested(1_900, WHOLE), 400),
            ("long nests", nested(20_000, b""), 10),
            ("long nests of whole frames", nested(20_000, WHOLE), 1_500),
        ] {
            let effort = effort(&stream);
            assert!(effort <= most, "{what}: {effort} bytes looked at for each");
        }
    }
}
