//! A report's id: another fact of the same second has another one, or the store would take it for
//! a duplicate; the same fact keeps its id however often and by whichever way it is sent again.
#![cfg(feature = "telemetry")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use bytes::{BufMut, BytesMut};
use milepost_protocol_gt06::normalize::{self, Context, ReportSource};
use milepost_protocol_gt06::{Dialect, Frame, Framing, Message, Profile, Start, frame};
use milepost_telemetry::{Origin, ReportId, Timestamp};

const TIME: &str = "0f0c1d023305";
const PLACE: &str = "c9 027ac818 0c465860 00 1400";
const GPS: &str = "0f0c1d023305 c9 027ac818 0c465860 00 1400";
const LATER: &str = "0f0c1d023306 c9 027ac818 0c465860 00 1400";
const ELSEWHERE: &str = "0f0c1d023305 c9 027ac819 0c465860 00 1400";
const INVALID: &str = "0f0c1d023305 c9 027ac818 0c465860 00 0400";
const L8: &str = "01cc 00 287d 001f71";
const L9: &str = "01cc 00 287d 00001f71";
const L10: &str = "01cc 0000 287d 00001f71";
const L15: &str = "01cc 00 0000287d 0000000000001f71";
const ID: &str = "0123456789012345";
const CARD: &str = "c300000100001201";
const CARD_2: &str = "c300000100001202";

/// A message in parts; for parts by their place, what makes it another fact, and what does not.
struct Case {
    what: &'static str,
    start: Start,
    number: u8,
    parts: &'static [&'static str],
    others: &'static [(usize, &'static str)],
    same: &'static [(usize, &'static str)],
}

const fn case(
    what: &'static str,
    start: Start,
    number: u8,
    parts: &'static [&'static str],
    others: &'static [(usize, &'static str)],
    same: &'static [(usize, &'static str)],
) -> Case {
    Case {
        what,
        start,
        number,
        parts,
        others,
        same,
    }
}

use Start::{Long, Short};

const PLACES: [(usize, &str); 3] = [(0, LATER), (0, ELSEWHERE), (0, INVALID)];

const CASES: &[Case] = &[
    case(
        "12",
        Short,
        0x12,
        &[GPS, L8],
        &PLACES,
        &[(1, "01cc 00 287d 001f72")],
    ),
    case(
        "22",
        Short,
        0x22,
        &[GPS, L8, "00", "00", "00"],
        &[(0, LATER), (0, ELSEWHERE), (3, "03")],
        &[(4, "01")],
    ),
    case(
        "a0",
        Short,
        0xa0,
        &[GPS, L15, "00", "00", "00", "00000064"],
        &[(0, LATER), (0, ELSEWHERE), (3, "03")],
        &[(4, "01")],
    ),
    case(
        "12 S5",
        Short,
        0x12,
        &[GPS, L8, "40", "04e2 04", "00", "0064 19 00000001"],
        &[(2, "48"), (2, "60"), (4, "01")],
        &[(3, "04e3 03")],
    ),
    case(
        "12 VXT01",
        Short,
        0x12,
        &[GPS, L8, "40", "04e2 04 00"],
        &[(2, "48"), (2, "60")],
        &[(3, "04e3 03 00")],
    ),
    case(
        "12 Wetrust",
        Short,
        0x12,
        &[GPS, L8, "00000064 04", "31323334", "30", "30", "0010"],
        &[(3, "31323335"), (4, "31"), (5, "31")],
        &[],
    ),
    case(
        "12 GT06E",
        Short,
        0x12,
        &[GPS, L8, "00000064 05", "3132333435", "30", "30"],
        &[(3, "3132333436"), (4, "31"), (5, "31")],
        &[],
    ),
    case(
        "12 Benway",
        Short,
        0x12,
        &[GPS, L8, "0032"],
        &[(2, "8032"), (2, "4032")],
        &[(2, "0033")],
    ),
    case(
        "16",
        Short,
        0x16,
        &[GPS, "08", L8, "40", "06 04", "00", "01"],
        &[(0, LATER), (0, ELSEWHERE), (3, "48"), (3, "60"), (5, "01")],
        &[(3, "46"), (4, "05 03")],
    ),
    case(
        "26",
        Short,
        0x26,
        &[GPS, "08", L8, "48", "06 04", "00", "01"],
        &[(3, "60"), (5, "01")],
        &[(3, "4c")],
    ),
    case(
        "16 with a code",
        Short,
        0x16,
        &[GPS, "08", L8, "48", "06 04", "06", "01"],
        &[(5, "03")],
        &[(3, "60")],
    ),
    case(
        "16 TRX16i",
        Short,
        0x16,
        &[GPS, "08", L8, "40", "06 04", "01", "01", CARD],
        &[(7, CARD_2)],
        &[],
    ),
    case(
        "16 VXT01",
        Short,
        0x16,
        &[GPS, L8, "40", "04e4 04 00"],
        &[(2, "48"), (2, "60")],
        &[(3, "04e5 04 00")],
    ),
    case(
        "27",
        Short,
        0x27,
        &[GPS, "08", L8, "40", "06 04", "04", "01", "01"],
        &[(5, "05"), (6, "11"), (7, "02")],
        &[],
    ),
    case(
        "27 without a code",
        Short,
        0x27,
        &[GPS, "08", L8, "40", "06 04", "00", "01", "ff"],
        &[(3, "48"), (3, "60")],
        &[],
    ),
    case(
        "a3",
        Short,
        0xa3,
        &[GPS, "10", L15, "40", "06 04", "00", "01"],
        &[(3, "48"), (5, "01"), (6, "11")],
        &[],
    ),
    case(
        "a4",
        Short,
        0xa4,
        &[GPS, "10", L15, "40", "06 04", "04", "01", "01"],
        &[(5, "05"), (6, "11"), (7, "02")],
        &[],
    ),
    case(
        "32 SL4X",
        Short,
        0x32,
        &[GPS, "0a", L10, "40", "06 04", "00", "01"],
        &[(3, "48"), (5, "01")],
        &[(4, "05 04")],
    ),
    case(
        "32 J16",
        Short,
        0x32,
        &[GPS, L9, "00", "00", "00", "00000064 04e2 00000001 422d"],
        &[(0, LATER), (3, "03")],
        &[(4, "01")],
    ),
    case(
        "34 X1",
        Short,
        0x34,
        &[
            "00000000",
            GPS,
            "0000 00000064",
            L9,
            "00000001",
            "0500 01a0",
            "00100000",
            "00",
            "00",
            "0123",
        ],
        &[
            (0, "80000000"),
            (0, "00000001"),
            (1, LATER),
            (4, "00000002"),
            (7, "01"),
            (8, "01"),
        ],
        &[(5, "0501 01a0"), (9, "0124")],
    ),
    case(
        "17 card",
        Short,
        0x17,
        &[GPS, L8, CARD, "01"],
        &[(2, CARD_2), (3, "00")],
        &[],
    ),
    case(
        "17 status",
        Short,
        0x17,
        &[GPS, L8, "40", "32 32", "00", "01 000064"],
        &[(2, "48"), (4, "01")],
        &[(3, "31 32")],
    ),
    case(
        "61",
        Short,
        0x61,
        &[ID, GPS, L9, "000000000001"],
        &[(1, LATER), (3, "000000000002")],
        &[],
    ),
    case(
        "36 TRX16i",
        Short,
        0x36,
        &[GPS, L9, "00", "00", "00", "00000064 04e2 29 000010", CARD],
        &[(3, "03"), (6, CARD_2)],
        &[(4, "01")],
    ),
    case(
        "a2 Lynkworld",
        Short,
        0xa2,
        &[
            GPS,
            L15,
            "04",
            "40",
            "04e2 32 14",
            "00",
            "01 00000064 00000010",
            CARD,
            "0001",
        ],
        &[(3, "48"), (5, "18"), (7, CARD_2), (8, "0003")],
        &[(4, "04e3 31 15")],
    ),
    case(
        "22 NT",
        Short,
        0x22,
        &[
            "00",
            ID,
            TIME,
            GPS,
            "08",
            L8,
            "40",
            "04e2 29 04",
            "00",
            "01 000064 000010",
        ],
        &[(2, "0f0c1d023307"), (3, LATER), (6, "48"), (8, "01")],
        &[(7, "04e3 28 03")],
    ),
    case(
        "25",
        Short,
        0x25,
        &[
            "00",
            ID,
            TIME,
            GPS,
            "0a",
            L9,
            "04",
            "40",
            "04e2 29 04",
            "00",
            "01 000064 000010",
            "05 01 31323334",
        ],
        &[(7, "48"), (9, "01"), (11, "05 01 31323335")],
        &[],
    ),
    case(
        "38",
        Long,
        0x38,
        &[GPS, "00", "00", "03 01cc 00 0000287d 0000000000001f71 0050"],
        &[(0, LATER), (1, "03")],
        &[(2, "01")],
    ),
    case(
        "39",
        Long,
        0x39,
        &[
            GPS,
            "03 01cc 00 0000287d 0000000000001f71 0050",
            "40",
            "06 04",
            "00",
            "01",
        ],
        &[(2, "48"), (4, "01"), (5, "11")],
        &[(3, "05 03")],
    ),
    case(
        "a9",
        Short,
        0xa9,
        &[TIME, "01cc 00 00 01 287d001f7150 00 00", "01", "01"],
        &[(0, "0f0c1d023306"), (2, "02"), (3, "11")],
        &[],
    ),
    case(
        "33 AZ735",
        Long,
        0x33,
        &[TIME, "0c", PLACE, "00 00 00", "a0", "00"],
        &[(4, "a4")],
        &[],
    ),
    case(
        "24 SR411",
        Short,
        0x24,
        &[GPS, L8, "00", "04e2 01a0", "00112233445566778899"],
        &[(2, "01")],
        &[(3, "04e3 01a0")],
    ),
    case(
        "2a",
        Short,
        0x2a,
        &[GPS, "313233000000000000000000000000000000000000", "0002"],
        &[(1, "313234000000000000000000000000000000000000")],
        &[],
    ),
    // Modules: a position with its time, the report's time, events, and the rest.
    case(
        "70 with a position",
        Long,
        0x70,
        &[
            "0033 0012 6553f100 0b 0024 027ac818 0c465860 1b 144c",
            "",
            "0018 0002 017c",
            "0029 0004 00000001",
            "0035 0001 01",
        ],
        &[
            (0, "0033 0012 6553f101 0b 0024 027ac818 0c465860 1b 144c"),
            (0, "0033 0012 6553f100 0b 0024 027ac819 0c465860 1b 144c"),
            (1, "002c 0004 6553f110"),
            (1, "0034 0006 12 6553f105 00"),
            (1, "0034 0006 20 6553f105 00"),
            (1, "0034 0006 12 6553f106 00"),
            (1, "002a 0001 10"),
            (1, "007f 000e 010203040506 0bb8 64 0122 01dc 07"),
        ],
        &[
            (1, "002c 0004 6553f100"),
            (2, "0018 0002 017b"),
            (2, "0011 000a 01cc 0000 287d 001f71 50"),
            (3, "0029 0004 00000002"),
            (4, "0035 0001 02"),
        ],
    ),
    case(
        "70 without a position",
        Long,
        0x70,
        &[
            "002c 0004 6553f110",
            "",
            "0018 0002 017c",
            "0029 0004 00000001",
            "0035 0001 01",
        ],
        &[
            (0, "002c 0004 6553f120"),
            (1, "0034 0006 12 6553f105 00"),
            (1, "0034 0006 20 6553f105 00"),
            (1, "007f 000e 010203040506 0bb8 64 0122 01dc 07"),
            (2, "0018 0002 017b"),
        ],
        &[(3, "0029 0004 00000002"), (4, "0035 0001 02")],
    ),
    case(
        "f1",
        Long,
        0xf1,
        &["6553f100", "0001 01 01", "0004 01 00"],
        &[(0, "6553f101"), (1, "0001 01 02"), (2, "0004 01 01")],
        &[],
    ),
    case(
        "f2",
        Long,
        0xf2,
        &["6553f100", "000a 000a 00 010203040506", "01 00", "01"],
        &[
            (0, "6553f101"),
            (1, "000a 000a 00 010203040507"),
            (2, "02 00"),
        ],
        &[],
    ),
    case(
        "94/05",
        Long,
        0x94,
        &["05", TIME, "01"],
        &[(1, "0f0c1d023306"), (2, "00")],
        &[],
    ),
    // `!AIOIL,01,1` and `!AIOIL,02,1`: two probes of one second.
    case(
        "94/0d",
        Long,
        0x94,
        &["0d", TIME, "2141494f494c2c30312c31"],
        &[(2, "2141494f494c2c30322c31")],
        &[],
    ),
    // `541=0BB8,`
    case(
        "8c",
        Long,
        0x8c,
        &[TIME, "01", "3534313d304242382c"],
        &[(0, "0f0c1d023306"), (1, "00"), (2, "3534313d304242392c")],
        &[],
    ),
    case(
        "8c with a position",
        Long,
        0x8c,
        &[TIME, "01", "3534313d304242382c", PLACE],
        &[
            (1, "00"),
            (2, "3534313d304242392c"),
            (3, "c9 027ac819 0c465860 00 1400"),
        ],
        &[],
    ),
    case(
        "66",
        Long,
        0x66,
        &[TIME, "01", "323130633d304242382c", PLACE],
        &[(2, "323130643d304242382c")],
        &[],
    ),
    case(
        "65",
        Long,
        0x65,
        &[TIME, "01", "5030313433"],
        &[(2, "5030313434")],
        &[],
    ),
    case(
        "40",
        Short,
        0x40,
        &[
            ID,
            "6553f100",
            "5a 0fa0 58 1388 63 0bb8 ff9c bb80 0010",
            "0ce40ce40ce40ce40ce40ce40ce40ce40ce40ce40ce40ce40ce40ce4",
            "0064 00c8",
            "30303030303030303030303030303030",
            "0102",
            "4d414b45524d414b45524d414b455200",
            "00000001",
            "00000002",
            "00000000",
        ],
        &[
            (0, "0123456789012346"),
            (1, "6553f101"),
            (8, "00000003"),
            (10, "00000004"),
        ],
        &[],
    ),
    case(
        "95 JC100",
        Short,
        0x95,
        &[TIME, "80"],
        &[(0, "0f0c1d023306"), (1, "93")],
        &[],
    ),
    case(
        "95 JC400",
        Short,
        0x95,
        &[TIME, "027ac818 0c465860 1400", "69", "0000", "612e6d7034"],
        &[(2, "80"), (3, "0001"), (4, "622e6d7034")],
        &[],
    ),
    case(
        "95 marked",
        Short,
        0x95,
        &[
            "ffff 01",
            TIME,
            "09 027ac818 0c465860 1400 0010 007d",
            "69",
            "0000",
            "612e6d7034",
        ],
        &[(3, "80"), (4, "0001"), (5, "622e6d7034")],
        &[],
    ),
    case(
        "b2",
        Short,
        0xb2,
        &[
            TIME,
            "b0",
            "010203040506",
            "00000000000000000000000000000000",
            "0001",
            "0002",
            "0128",
            "04",
        ],
        &[(2, "010203040507"), (4, "0002"), (5, "0003"), (7, "08")],
        &[],
    ),
];

fn bytes(parts: &[&str]) -> Vec<u8> {
    hex::decode(parts.concat().replace(' ', "")).unwrap()
}

/// The ids of a frame's reports: the `sent`-th time that it is sent.
fn ids_of(frame: &Frame, profile: &Profile, sent: u16) -> Vec<ReportId> {
    let message = Message::decode(frame, profile.dialect.unwrap_or_default()).unwrap();
    assert!(!matches!(message, Message::Unknown(_)), "{message:?}");
    let source = ReportSource::new(None, None);
    let received_at = Timestamp::from_unix(1_763_622_000 + i64::from(sent));
    let origin = Origin {
        frame: sent.into(),
        ..Origin::default()
    };
    let cx = Context::new(frame.head(), profile, &source, received_at, origin);
    let mut reports = Vec::new();
    normalize::normalize(&message, &cx, &mut reports);
    reports.iter().map(|report| report.id).collect()
}

fn ids(start: Start, number: u8, body: &[u8], sent: u16) -> Vec<ReportId> {
    let mut raw = BytesMut::new();
    frame::encode(start, number, sent, &mut raw, |out| out.put_slice(body));
    let frame = Frame::parse(raw.freeze(), Framing::Checked).unwrap();
    ids_of(&frame, &Profile::default(), sent)
}

#[test]
fn another_fact_has_another_id_and_the_same_one_keeps_it() {
    for case in CASES {
        let of = |parts: &[&str], sent| {
            let ids = ids(case.start, case.number, &bytes(parts), sent);
            assert_eq!(ids.len(), 1, "{}", case.what);
            ids[0]
        };
        let with = |(at, part): (usize, &'static str)| {
            let mut parts = case.parts.to_vec();
            parts[at] = part;
            parts
        };
        let first = of(case.parts, 1);
        assert_eq!(of(case.parts, 2), first, "{}, sent again", case.what);
        for same in case.same {
            assert_eq!(of(&with(*same), 2), first, "{}, {same:?}", case.what);
        }
        // Each differs from the first and from all others. Where they arrive does not help them.
        let mut known = vec![first];
        for other in case.others {
            let id = of(&with(*other), 1);
            assert!(!known.contains(&id), "{}, {other:?}", case.what);
            known.push(id);
        }
    }
}

#[test]
fn a_wrong_checksum_makes_no_other_fact() {
    let body = bytes(&[GPS, L8, "00 00 00"]);
    let mut raw = BytesMut::new();
    frame::encode(Short, 0x22, 1, &mut raw, |out| out.put_slice(&body));
    let check = raw.len() - 4;
    raw[check] ^= 1;
    let frame = Frame::parse(raw.freeze(), Framing::Checked).unwrap();
    assert_eq!(
        ids_of(&frame, &Profile::default(), 3),
        ids(Short, 0x22, &body, 1)
    );
}

#[test]
fn a_position_is_the_same_fact_alone_and_in_any_place_of_a_batch() {
    const A: &str = "0033 0012 6553f100 0b 0024 027ac818 0c465860 1b 144c";
    const B: &str = "0033 0012 6553f13c 0b 0024 027ac828 0c465860 1b 144c";
    let alone = ids(Long, 0x70, &bytes(&[A, "0018 0002 017c"]), 1);
    let first = ids(Long, 0x70, &bytes(&["002c 0004 6553f200", A, B]), 2);
    let second = ids(Long, 0x70, &bytes(&["002c 0004 6553f300", B, A]), 3);
    assert_eq!((alone[0], first[0]), (first[0], second[1]));
    assert_eq!(first[1], second[0]);
    assert_ne!(first[0], first[1]);
}

#[test]
fn a_position_that_repeats_in_a_batch_is_told_apart_by_a_number() {
    for unix in ["00000000", "6553f100"] {
        let position = ["0033 0012", unix, "0b 0024 027ac818 0c465860 1b 144c"].concat();
        for time in ["002c 0004 6553f200", ""] {
            let ids = ids(
                Long,
                0x70,
                &bytes(&[time, &position, &position, &position]),
                1,
            );
            assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
        }
    }
}

#[test]
fn live_and_from_the_buffer_it_is_the_same_fact_of_the_relatives() {
    let mut profile = Profile::default();
    profile.dialect = Some(Dialect::Topin);
    profile.bare_frames = true;
    let id = |hex: &str, sent| {
        let raw = bytes(&["7878", hex, "0d0a"]);
        let ids = ids_of(
            &Frame::parse(raw.into(), Framing::Bare).unwrap(),
            &profile,
            sent,
        );
        assert_eq!(ids.len(), 1);
        ids[0]
    };
    const SCAN: &str = "151229025105 010203040506 50 01 01cc 00 287d 1f71 50";
    let scan = id(&["01 69", SCAN].concat(), 1);
    assert_eq!(id(&["01 17", SCAN].concat(), 2), scan);
    assert_ne!(
        id(&["01 69", &SCAN.replace("1f71", "1f72")].concat(), 1),
        scan
    );
    let position = id(&["12 10", GPS].concat(), 1);
    assert_eq!(id(&["12 11", GPS].concat(), 2), position);
    assert_ne!(id(&["12 10", ELSEWHERE].concat(), 1), position);
}
