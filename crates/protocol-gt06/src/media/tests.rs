use super::*;

const PHOTO: UploadId = UploadId {
    number: 0x36,
    file: 7,
};

fn other(file: u64) -> UploadId {
    UploadId { file, ..PHOTO }
}

fn small(files: usize, bytes: usize, blocks: usize) -> Assembler {
    Assembler::new(Limits {
        files,
        bytes,
        blocks,
        idle_ms: 1_000,
    })
}

#[test]
fn blocks_in_any_order_and_overlapping_give_the_file() {
    let mut a = Assembler::default();
    assert!(a.open(PHOTO, 10, 0));
    assert_eq!(a.missing(PHOTO, 1_024), Some((0, 10)));
    assert_eq!(
        a.push(PHOTO, Place::Offset(6), None, b"6789", 0),
        Taken::Kept
    );
    assert_eq!(a.missing(PHOTO, 1_024), Some((0, 6)));
    assert_eq!(
        a.push(PHOTO, Place::Offset(0), None, b"0123", 0),
        Taken::Kept
    );
    assert_eq!(a.missing(PHOTO, 1), Some((4, 1)));
    assert_eq!(
        a.push(PHOTO, Place::Offset(0), None, b"0123", 0),
        Taken::Repeated
    );
    let whole = Taken::Complete(Bytes::from_static(b"0123456789"));
    assert_eq!(a.push(PHOTO, Place::Offset(2), None, b"23456", 0), whole);
    assert_eq!(
        (a.held(), a.uploads()),
        (0, 0),
        "a complete file is no longer held"
    );
    assert_eq!(a.missing(PHOTO, 1_024), None);
}

#[test]
fn parts_complete_by_bytes_or_by_count_from_0_or_1() {
    for (first, total) in [(0, 10), (1, 10), (0, 3), (1, 3)] {
        let parts: [&[u8]; 3] = [b"abcd", b"efgh", b"ij"];
        // In order, and the one in the middle last.
        for order in [[0, 1, 2], [0, 2, 1]] {
            let mut a = Assembler::default();
            let mut push = |n: usize| {
                let place = Place::Part(first + u16::try_from(n).unwrap());
                a.push(PHOTO, place, Some(total), parts[n], 0)
            };
            let [one, two, three] = order.map(&mut push);
            assert_eq!((one, two), (Taken::Kept, Taken::Kept), "{first} {total}");
            let whole = Taken::Complete(Bytes::from_static(b"abcdefghij"));
            assert_eq!(three, whole, "{first} {total}");
        }
    }
}

#[test]
fn a_part_that_is_missing_in_front_is_waited_for() {
    let mut a = Assembler::default();
    assert_eq!(a.push(PHOTO, Place::Part(2), Some(2), b"b", 0), Taken::Kept);
    assert_eq!(a.push(PHOTO, Place::Part(3), Some(2), b"c", 0), Taken::Kept);
}

#[test]
fn memory_is_bounded_and_the_oldest_upload_makes_room() {
    let mut a = small(4, 100, 8);
    a.push(other(1), Place::Offset(0), None, &[1; 60], 0);
    assert_eq!(
        a.push(other(2), Place::Offset(0), None, &[2; 60], 1),
        Taken::Kept
    );
    assert_eq!((a.held(), a.uploads()), (60, 1));
    let gone = Abandoned {
        id: other(1),
        held: 60,
        total: None,
    };
    assert_eq!(a.take_abandoned(), [gone]);
    assert_eq!(a.take_abandoned(), []);
    // Its own blocks never make room for each other.
    assert_eq!(
        a.push(other(2), Place::Offset(60), None, &[2; 60], 1),
        Taken::Refused
    );
    assert_eq!(a.held(), 60);
    assert!(!a.open(other(3), 101, 1), "larger than the limit");
    assert_eq!(
        a.push(other(3), Place::Offset(0), Some(101), b"x", 1),
        Taken::Refused
    );
    assert_eq!(
        a.push(other(3), Place::Offset(u64::MAX), None, b"x", 1),
        Taken::Refused
    );
}

#[test]
fn files_and_blocks_are_counted() {
    let mut a = small(2, 100, 3);
    for n in 0..5 {
        a.push(other(n), Place::Offset(0), None, b"x", 0);
    }
    assert_eq!(a.uploads(), 2);
    assert_eq!(a.take_abandoned().len(), 3);
    for n in 0..3 {
        a.push(PHOTO, Place::Offset(2 * n), None, b"x", 0);
    }
    assert_eq!(
        a.push(PHOTO, Place::Offset(50), None, b"x", 0),
        Taken::Refused
    );
}

#[test]
fn an_upload_without_progress_is_given_up_by_the_callers_clock() {
    let mut a = small(4, 100, 8);
    assert!(a.open(PHOTO, 10, 0));
    a.push(PHOTO, Place::Offset(0), None, b"01", 900);
    a.expire(1_900);
    assert_eq!(a.uploads(), 1, "a new block starts the time again");
    a.expire(1_901);
    assert_eq!((a.uploads(), a.held()), (0, 0));
    assert_eq!(
        a.take_abandoned(),
        [Abandoned {
            id: PHOTO,
            held: 2,
            total: Some(10)
        }]
    );
    assert!(a.open(PHOTO, 10, 1_902));
    a.clear();
    assert_eq!(a.take_abandoned().len(), 1);
}

#[test]
fn what_lies_after_the_end_is_refused_and_nothing_is_kept_of_it() {
    let mut a = Assembler::default();
    assert!(a.open(PHOTO, 4, 0));
    assert_eq!(
        a.push(PHOTO, Place::Offset(2), None, b"234", 0),
        Taken::Refused
    );
    assert_eq!(a.held(), 0);
    assert_eq!(
        a.push(PHOTO, Place::Part(0), None, b"23", 0),
        Taken::Refused,
        "parts of a file by offsets"
    );
}

#[test]
fn the_last_block_sent_again_begins_no_new_file() {
    let whole = Taken::Complete(Bytes::from_static(b"abcd"));
    let places = [Place::Offset(0), Place::Offset(2)];
    for [first, last] in [places, [Place::Part(1), Place::Part(2)]] {
        let mut a = small(4, 100, 8);
        let mut push = |place, data: &[u8], now| a.push(PHOTO, place, Some(4), data, now);
        assert_eq!(push(first, b"ab", 0), Taken::Kept);
        assert_eq!(push(last, b"cd", 0), whole);
        assert_eq!(push(last, b"cd", 1_000), Taken::Repeated);
        // Another file by the same number, which devices that count from 1 again send.
        assert_eq!(push(first, b"ef", 1_000), Taken::Kept);
        let other = Taken::Complete(Bytes::from_static(b"efcd"));
        assert_eq!(push(last, b"cd", 1_000), other);
        assert_eq!((a.held(), a.uploads()), (0, 0));
        assert!(!a.is_empty());
        a.expire(2_001);
        assert!(a.is_empty(), "no longer than an upload may pause");
    }
}

#[test]
fn of_as_many_files_as_may_be_held_the_last_blocks_are_remembered() {
    let mut a = small(2, 100, 8);
    for n in 0..50 {
        let taken = a.push(other(n), Place::Offset(0), Some(1), b"x", 0);
        assert!(matches!(taken, Taken::Complete(_)), "{n}");
    }
    assert_eq!(a.last_blocks.len(), 2);
    assert!(a.open(other(49), 1, 0));
    let taken = a.push(other(49), Place::Offset(0), None, b"x", 0);
    assert!(matches!(taken, Taken::Complete(_)), "announced again");
}

#[test]
fn a_file_announced_again_starts_again() {
    let mut a = Assembler::default();
    assert!(a.open(PHOTO, 4, 0));
    a.push(PHOTO, Place::Offset(0), None, b"ab", 0);
    assert!(a.open(PHOTO, 4, 1));
    assert_eq!(a.held(), 0);
    assert_eq!(a.missing(PHOTO, 9), Some((0, 4)));
}

#[test]
fn an_empty_file_is_complete_at_once() {
    let mut a = Assembler::default();
    assert_eq!(
        a.push(PHOTO, Place::Offset(0), Some(0), b"", 0),
        Taken::Complete(Bytes::new())
    );
    assert_eq!(
        a.push(PHOTO, Place::Offset(0), None, b"", 0),
        Taken::Repeated
    );
    assert!(a.open(PHOTO, 0, 0));
    assert_eq!(a.uploads(), 0);
}

#[test]
fn a_file_that_is_too_large_is_reported_with_its_first_block_and_one_begun_anew_too() {
    let mut a = small(4, 100, 8);
    for at in [0, 40, 80] {
        let taken = a.push(other(1), Place::Offset(at), Some(120), &[1; 40], 0);
        assert_eq!(taken, Taken::Refused);
    }
    let given_up = |id, held, total| Abandoned { id, held, total };
    assert_eq!(a.take_abandoned(), [given_up(other(1), 0, Some(120))]);

    assert!(a.open(other(2), 80, 0));
    assert!(a.open(other(2), 80, 0));
    assert_eq!(a.take_abandoned(), []);
    a.push(other(2), Place::Offset(0), None, &[2; 40], 0);
    assert!(a.open(other(2), 80, 0));
    assert_eq!(a.take_abandoned(), [given_up(other(2), 40, Some(80))]);
}

#[test]
fn all_that_is_held_is_named_at_the_end_however_much_that_may_be() {
    let mut a = small(40, 100, 8);
    for n in 0..40 {
        a.push(other(n), Place::Offset(0), None, b"x", 0);
    }
    a.clear();
    assert_eq!(a.take_abandoned().len(), 40);
}

#[test]
fn when_memory_is_short_the_largest_upload_is_given_up_and_named() {
    let mut a = Assembler::new(Limits::default());
    assert_eq!((a.footprint(), a.shed()), (0, 0));
    let data = [7; 300];
    for (id, blocks) in [(1, 1), (2, 3), (3, 2)] {
        for n in 0..blocks {
            let id = UploadId {
                number: 0x8d,
                file: id,
            };
            a.push(id, Place::Offset(n * 300), Some(10_000), &data, 0);
        }
    }
    assert_eq!(a.footprint(), 6 * 404);
    assert_eq!(a.shed(), 3 * 404);
    assert_eq!((a.held(), a.uploads()), (900, 2));
    assert_eq!(a.take_abandoned().len(), 1);
}

#[test]
fn an_upload_is_called_what_its_reports_call_it() {
    let recording = |file| UploadId { number: 0x8d, file };
    for (id, name) in [
        (PHOTO, "image 7"),
        (
            UploadId {
                number: 0x41,
                file: 5,
            },
            "image 5",
        ),
        (recording(0), "audio monitoring"),
        (recording(0x0101_0000_0000_0009), "audio sos-0009"),
    ] {
        assert_eq!(alloc::format!("{id}"), name);
    }
}
