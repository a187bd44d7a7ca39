use super::*;

#[test]
fn every_part_of_a_key_has_its_place() {
    let position = Position {
        raw_satellites: 0xcc,
        raw_latitude: 0x0708_090a,
        raw_longitude: 0x0b0c_0d0e,
        raw_speed: 0xcc,
        course_status: crate::field::CourseStatus(0xffff),
    };
    let empty = Key::new(0x22).to_bytes();
    assert_eq!((empty[8], &empty[..8]), (0x22, &[0xff; 8][..]));
    assert_eq!(empty[9..], [0xff; 7]);
    let key = Key::new(0x22)
        .position(&position)
        .upload_mode(Some(3))
        .alarm(Some(0x1213))
        .index(0x1415);
    assert_eq!(
        hex::encode(key.with_time(DateTime::from_bytes([1, 2, 3, 4, 5, 6]))),
        "0708090a0b0c0d0e221c000312131415010203040506"
    );
}
