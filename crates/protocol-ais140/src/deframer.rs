//! From a stream of bytes to packets.
//!
//! | a packet begins with | and ends |
//! |---|---|
//! | `$` | at a line end; at `*` and its checksum; before the next `$`, unless that belongs to it |
//! | `$,BTH,` | the same, but `$,NN,L` and `$,NN,H` are its records |
//! | `vltdata=` or a C-DAC header with an IMEI | at a line end, `&`, or the next `vltdata=` |
//! | `ACTVR,` `HCHKR,` | at a line end or `$` |
//! | `3A 3A` | at `23 23` after its type-length-value blocks; given up where another packet begins inside |
//! | `^` `@` (commands) | at `#` or a line end |
//! | `[#` (M2C's own protocol) | at `*` or a line end |
//!
//! A `$` belongs to the packet if what precedes it has no comma but the last character: logins
//! separated by `$`. Raw checksum bytes (`,?*`) end nothing.

use bytes::{Buf, BytesMut};
use memchr::{memchr2, memchr3};

use crate::FrameError;
use crate::frame::{Frame, VLTDATA, is_fixed};

mod binary;
mod sentence;

use binary::transync;
use sentence::sentence;

/// The longest packet of one record; real ones have 250 to 400 bytes.
pub const LONGEST: usize = 4_096;
/// The longest batch: 999 records of 91 characters.
pub const LONGEST_BATCH: usize = 96 * 1_024;

/// Takes packets off the front of a stream, however it is cut.
///
/// - `Ok(None)` asks for more bytes.
/// - Every other return has consumed at least one byte; an error is never terminal.
/// - What it finds does not depend on how the stream was cut into reads, pauses apart.
/// - It leaves at most [`LONGEST`] undecided bytes in the buffer, [`LONGEST_BATCH`] of a batch.
///
/// ```
/// use bytes::BytesMut;
/// use milepost_protocol_ais140::Deframer;
///
/// let mut stream = BytesMut::from(&b"$HEL,VLT1,1,123456789012347,13*\r\n$HEL,VL"[..]);
/// let mut deframer = Deframer::new();
/// let frame = deframer.next_frame(&mut stream)?.expect("a packet");
/// assert_eq!(frame.raw()[..], b"$HEL,VLT1,1,123456789012347,13*"[..]);
/// assert_eq!(deframer.next_frame(&mut stream), Ok(None));
/// # Ok::<(), milepost_protocol_ais140::FrameError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Deframer {
    /// Bytes that were looked at already and hold no end.
    scanned: usize,
    quiet: Quiet,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Quiet {
    #[default]
    No,
    /// The sender paused.
    Paused,
    /// Nothing more comes.
    Ended,
}

/// What the front of a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// A packet of so many bytes; then so many bytes of line end.
    Packet(usize, usize),
    /// Not decided; nothing ends before this place.
    More(usize),
    /// Bytes of no packet.
    Skip(usize),
}

impl Deframer {
    /// A deframer for a new stream.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            scanned: 0,
            quiet: Quiet::No,
        }
    }

    /// Takes the next packet off the front of `src`.
    ///
    /// # Errors
    /// [`FrameError::Skipped`] when bytes were passed over that belong to no packet. Go on.
    pub fn next_frame(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        let blanks = src
            .iter()
            .take_while(|b| matches!(b, b'\r' | b'\n' | b' ' | 0))
            .count();
        if blanks > 0 {
            src.advance(blanks);
            self.scanned = 0;
        }
        if src.is_empty() {
            self.quiet = Quiet::No;
            return Ok(None);
        }
        match find(src, self.scanned, self.quiet != Quiet::No) {
            Found::Packet(len, end) => {
                self.scanned = 0;
                let mut raw = src.split_to(len.min(src.len()));
                src.advance(end.min(src.len()));
                // Blanks before a line end are no part of a packet, but where widths are fixed.
                if matches!(raw.first(), Some(b'$' | b'^' | b'@')) {
                    let blanks = raw.iter().rev().take_while(|b| **b == b' ').count();
                    raw.truncate(raw.len() - blanks);
                }
                let raw = raw.freeze();
                Ok(Some(Frame::new(raw)))
            }
            Found::More(scanned) if self.quiet == Quiet::No => {
                self.scanned = scanned;
                Ok(None)
            }
            Found::More(_) => {
                let may_end = self.quiet == Quiet::Ended || looks_whole(src);
                self.quiet = Quiet::No;
                if !may_end {
                    return Ok(None);
                }
                self.scanned = 0;
                // What cannot be told from a packet's beginning is no packet.
                if begins(src) == Some(true) {
                    Ok(Some(Frame::new(src.split_to(src.len()).freeze())))
                } else {
                    self.skip(src.len(), src)
                }
            }
            Found::Skip(bytes) => self.skip(bytes, src),
        }
    }

    /// The sender went quiet: a packet that could still grow, by a checksum or more items, is
    /// released by the next call of [`next_frame`](Self::next_frame). One that stops in the middle,
    /// with a `*` still to come, keeps waiting.
    pub const fn on_pause(&mut self) {
        if matches!(self.quiet, Quiet::No) {
            self.quiet = Quiet::Paused;
        }
    }

    /// Nothing more will come: whatever is there is released.
    pub const fn finish(&mut self) {
        self.quiet = Quiet::Ended;
    }

    #[cold]
    fn skip(&mut self, bytes: usize, src: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        let bytes = bytes.clamp(1, src.len().max(1));
        let looks_like = looks_like(src);
        self.scanned = 0;
        src.advance(bytes.min(src.len()));
        Err(FrameError::Skipped { bytes, looks_like })
    }
}

/// Whether a text without its end is one that needs none: it holds a `*`, or stops after a
/// separator or a position.
fn looks_whole(src: &[u8]) -> bool {
    match src {
        [b'$', rest @ ..] => {
            rest.contains(&b'*')
                || matches!(
                    rest,
                    [.., b',' | b'$' | b'#'] | [.., b',' | b'$', b'E' | b'W']
                )
        }
        [0x3a, 0x3a, ..] => false,
        _ => true,
    }
}

/// Names protocols that come to the wrong port.
fn looks_like(src: &[u8]) -> Option<&'static str> {
    match src {
        [0x16, 3, ..] => Some("tls"),
        [0x78, 0x78, ..] | [0x79, 0x79, ..] => Some("gt06"),
        _ if src.starts_with(b"GET /") || src.starts_with(b"POST /") => Some("http"),
        _ => None,
    }
}

/// Whether a packet begins here; `None` if more bytes are needed.
fn begins(src: &[u8]) -> Option<bool> {
    let word = |word: &[u8]| {
        let len = src.len().min(word.len());
        if src.get(..len) != word.get(..len) {
            Some(false)
        } else if len == word.len() {
            Some(true)
        } else {
            None
        }
    };
    match src.first() {
        None => None,
        Some(b'$' | b'^' | b'@') => Some(true),
        Some(0x3a) => word(&[0x3a, 0x3a]),
        Some(b'[') => word(b"[#"),
        Some(b'v') => word(VLTDATA),
        Some(b'A' | b'H' | b'N' | b'E' | b'C' | b'L' | b'F' | b'B') => {
            let any = [word(b"ACTVR,"), word(b"HCHKR,"), is_fixed(src)];
            if any.contains(&Some(true)) {
                Some(true)
            } else if any.contains(&None) {
                None
            } else {
                Some(false)
            }
        }
        Some(_) => Some(false),
    }
}

fn find(src: &[u8], scanned: usize, quiet: bool) -> Found {
    match begins(src) {
        Some(true) => {}
        None if quiet => return Found::Skip(src.len()),
        None => return Found::More(0),
        Some(false) => {
            // To the next place where a packet may begin.
            let tail = |at: usize| src.get(at..).unwrap_or_default();
            let next = (1..src.len()).find(|at| begins(tail(*at)) != Some(false));
            return Found::Skip(next.unwrap_or(src.len()));
        }
    }
    match src {
        [b'$', ..] => sentence(src, scanned),
        [0x3a, ..] => transync(src),
        [b'^' | b'@', ..] => line(src, scanned, b'#', true),
        [b'[', ..] => line(src, scanned, b'*', true),
        [b'A', b'C', b'T', ..] | [b'H', b'C', ..] => line(src, scanned, b'$', false),
        _ => fixed(src, scanned),
    }
}

/// A line that also ends at `mark`, which belongs to it or not.
fn line(src: &[u8], scanned: usize, mark: u8, with_mark: bool) -> Found {
    let rest = src.get(scanned..).unwrap_or_default();
    match memchr3(b'\r', b'\n', mark, rest) {
        Some(at) => {
            let at = scanned + at;
            let is_mark = src.get(at) == Some(&mark);
            Found::Packet(if is_mark && with_mark { at + 1 } else { at }, 0)
        }
        None if src.len() > LONGEST => Found::Skip(1),
        None => Found::More(src.len()),
    }
}

/// C-DAC: no end mark of its own.
fn fixed(src: &[u8], scanned: usize) -> Found {
    // The beginning of the next `vltdata=` may be at the end of what was looked at.
    let mut at = scanned.saturating_sub(VLTDATA.len()).max(VLTDATA.len());
    loop {
        let rest = src.get(at..).unwrap_or_default();
        let Some(next) = memchr3(b'\r', b'\n', b'v', rest)
            .into_iter()
            .chain(memchr2(b'&', b'*', rest))
            .min()
        else {
            break;
        };
        at += next;
        match src.get(at) {
            // An answer to a command ends with `*`.
            Some(b'*') => return Found::Packet(at + 1, 0),
            Some(b'&') => return Found::Packet(at, 1),
            Some(b'v') => {
                let rest = src.get(at..).unwrap_or_default();
                if rest.starts_with(VLTDATA) {
                    return Found::Packet(at, 0);
                }
                at += 1;
            }
            _ => return Found::Packet(at, 0),
        }
    }
    if src.len() > LONGEST_BATCH {
        return Found::Skip(1);
    }
    Found::More(src.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(stream: &[u8], chunk: usize) -> Vec<String> {
        let found = frames_of(stream, chunk);
        let text = found.iter().map(|raw| String::from_utf8_lossy(raw));
        text.map(String::from).collect()
    }

    fn frames_of(stream: &[u8], chunk: usize) -> Vec<Vec<u8>> {
        let mut deframer = Deframer::new();
        let mut src = BytesMut::new();
        let mut found = Vec::new();
        let mut take = |deframer: &mut Deframer, src: &mut BytesMut| {
            loop {
                match deframer.next_frame(src) {
                    Ok(Some(frame)) => found.push(frame.raw().to_vec()),
                    Ok(None) => break,
                    Err(FrameError::Skipped { bytes, .. }) => assert!(bytes > 0),
                }
            }
        };
        for part in stream.chunks(chunk) {
            src.extend_from_slice(part);
            take(&mut deframer, &mut src);
        }
        deframer.finish();
        take(&mut deframer, &mut src);
        assert!(src.is_empty(), "{src:?}");
        found
    }

    const PACKETS: &[&str] = &[
        "$NRM,A,1,NR,01,L,123456789012347,,1,05032024,061530,E4D8987B*",
        "$,NRM,A,1,NR,01,L,123456789012347,4E9C,*",
        "$EPB,EMR,123456789012347,NM,0*BD2AE383",
        "$,EPB,EMR,123456789012347,NM,0,*,0085",
        "$,EPB,EMR,123456789012347,NM,0,*",
        "$,04,XYZ123,0.0.1,TA,16,L,123456789012347,f906c65c,",
        "$,CP,ATL,1,EA,10,H,123456789012347,00,221332,**",
        "$,CP,ATL,1,PC,12,L,123456789012347,00,260711,:*,O,S,+918743950398",
        "$,CP,ATL,1,EA,10,H,123456789012347,00,221332,\n*",
        "$KA01AB1234$123456789012347$2.3.1$1.1$13.082680$N$80.270718$E$",
        "$LP$HP01A1234$123456789012347$V1.0.8$1.0$27092019$102708$1$28.651234$N$77.098751$E$221.0$0.0*2A",
        "$KA01,$123456789012347,$1.0,$AIS140,$12.9N77.5E",
        "$,BTH,123456789012347,002,$,01,L,1,070826,093000,AIRTEL,$,02,H,1,070826,092900,AIRTEL*",
        "$$Header,iTriangle,VC4.40,NR,1,L,123456789012347,,0,()*45",
        "$Header,JSD,2.2.5,EA,10,L,123456789012347,()*029258c7dab333596b384b46187ecccf81a32f9f811d996a95d17d77a20fc456b5",
        "$NMP,GPSBOX,1,NR,L,123456789012347,(0,0,0)*120",
        "$PVT,VLT1,M1.2.2,OC,12,<52.62.136.218#*",
        "vltdata=NRM12345678901234501L1060418102230023.125503N080.068033E4041231234123456789070.48120.5025273011M",
        "ACTVR,654343, APM,1.0.9,123456789012347,17",
        "$123456789012347,012345,GET,001*XX",
        "$11,123456789012345,080626,113000,1720.7174,N,07831.4323,E,Ignition On#",
    ];

    #[test]
    fn every_ending_is_found_in_every_chunk_size() {
        for separator in ["\r\n", "\n", "\r\n\r\n", " \n"] {
            // Where widths are fixed, a blank may be part of the last field.
            let is_text = |p: &&str| separator != " \n" || p.starts_with('$');
            let packets: Vec<_> = PACKETS.iter().copied().filter(is_text).collect();
            let stream = packets.join(separator);
            for chunk in 1..=64 {
                assert_eq!(
                    frames(stream.as_bytes(), chunk),
                    packets,
                    "{separator:?} {chunk}"
                );
            }
        }
    }

    /// Found by fuzzing: the beginning of a TranSync frame was seen in bytes beyond the packet.
    #[test]
    fn bytes_beyond_an_end_that_is_not_decided_give_up_no_packet() {
        let stream = b"vlda4$$$:::::::]:::::::::\x05\x05\x053410$,9\0\xff\xff\xff\xff341011M";
        let whole = frames_of(stream, stream.len());
        for chunk in 1..=stream.len() {
            assert_eq!(frames_of(stream, chunk), whole, "{chunk}");
        }
    }

    #[test]
    fn packets_without_anything_between_are_told_apart() {
        // Not those that only a line end ends.
        let packets: Vec<_> = PACKETS
            .iter()
            .copied()
            .filter(|p| p.starts_with('$') && !p.contains(",$123") && !p.contains("\n"))
            .collect();
        let stream = packets.concat();
        for chunk in 1..=64 {
            assert_eq!(frames(stream.as_bytes(), chunk), packets, "{chunk}");
        }
    }

    #[test]
    fn a_pause_releases_what_could_grow_and_keeps_what_stops_in_the_middle() {
        let mut deframer = Deframer::new();
        let mut src = BytesMut::from(&b"$EPB,EMR,123456789012347,NM*"[..]);
        assert_eq!(
            deframer.next_frame(&mut src),
            Ok(None),
            "a checksum may follow"
        );
        deframer.on_pause();
        assert!(deframer.next_frame(&mut src).unwrap().is_some());

        let half = "$NRM,V,1,NR,01,L,123456789012347,KA01,1,05032024,061530,12.97,N,77.54,E,32.5,\
                    118.0,11,914.0,1.20,0.80,Airtel,1,1,12.6,4.1,0,C,24,404,45,61B4,9AD9,31,61B4,\
                    9ADB,28,61B4,9AE1,22,61B5,1F03,19,61B5,1F";
        let items = half.split(',').count();
        assert_eq!(items, 45);
        src.extend_from_slice(half.as_bytes());
        deframer.on_pause();
        assert_eq!(deframer.next_frame(&mut src), Ok(None));
        src.extend_from_slice(b"07,0001,00,000127,E4D8987B*\n");
        assert!(deframer.next_frame(&mut src).unwrap().is_some());
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut deframer = Deframer::new();
        let mut src = BytesMut::new();
        for _ in 0..1_000 {
            src.extend_from_slice(b"$A,xyz,*!");
            while !matches!(deframer.next_frame(&mut src), Ok(None)) {}
            assert!(src.len() <= LONGEST + 10);
        }
        for _ in 0..1_000 {
            src.extend_from_slice(&[b'a'; 100]);
            while !matches!(deframer.next_frame(&mut src), Ok(None)) {}
            assert!(src.len() <= LONGEST + 10);
        }
    }

    #[test]
    fn transync_ends_after_its_blocks() {
        let raw = hex::decode(TRANSYNC).unwrap();
        let stream = [&raw[..], &raw[..]].concat();
        let mut deframer = Deframer::new();
        let mut src = BytesMut::new();
        let mut found = 0;
        for byte in stream {
            src.extend_from_slice(&[byte]);
            while let Ok(Some(frame)) = deframer.next_frame(&mut src) {
                assert_eq!(frame.raw()[..], raw[..]);
                found += 1;
            }
        }
        assert_eq!(found, 2);
    }

    const TRANSYNC: &str = "3a3a2b583f086065705154043900801017050b11190f01623ef40887dff00000c25e9ff707\
         000007152a2d0000000105004794916902050000000000050252ee060200822323";

    #[test]
    fn a_damaged_transync_takes_no_neighbour() {
        let raw = hex::decode(TRANSYNC).unwrap();
        let text = b"$NRM,A,1,NR,01,L,123456789012347,,1,05032024,061530,E4D8987B*";
        for separator in [&b""[..], b"\r\n"] {
            for after in [&raw[..], text] {
                for at in 0..raw.len() {
                    for new in 0..=u8::MAX {
                        let mut bad = raw.clone();
                        bad[at] = new;
                        let stream = [&raw[..], &bad, after, &raw].join(separator);
                        let whole = frames_of(&stream, stream.len());
                        assert_eq!(whole.first().unwrap(), &raw, "{at} {new:02x}");
                        let [.., third, last] = &whole[..] else {
                            unreachable!()
                        };
                        assert_eq!(last, &raw, "{at} {new:02x}");
                        // `$$` begins a packet too: nothing tells that the first is damage.
                        let is_double = separator.is_empty()
                            && after == text
                            && at + 1 == raw.len()
                            && new == b'$';
                        let third = if is_double { &third[1..] } else { third };
                        assert_eq!(third, after, "{at} {new:02x}");
                        if new % 16 == 0 {
                            assert_eq!(frames_of(&stream, 1), whole, "{at} {new:02x}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn where_two_beginnings_lie_in_a_broken_frame_the_cut_does_not_choose() {
        let stream = b":::$$::vltdata=$";
        assert_eq!(frames_of(stream, 1), frames_of(stream, stream.len()));
    }
}
