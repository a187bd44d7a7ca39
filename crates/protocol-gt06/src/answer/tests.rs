use super::*;

#[test]
fn degrees_are_decimal_or_with_minutes_and_have_one_hemisphere() {
    for (text, latitude, longitude) in [
        (
            "DWXX=Lat:N23d5.1708m,Lon:E114d23.6212m,Course:120",
            23.086_18,
            114.393_686_666,
        ),
        (
            "Lat:N23 06.7009',Lon:E114 24.55',X",
            23.111_681_666,
            114.409_166_666,
        ),
        ("Lat:S23°30.0',Lon:W114°15.0'", -23.5, -114.25),
        ("Lat:23°30.0'S,Lon:114°15.0' W", -23.5, -114.25),
        ("Lat:23.5S,Lon:114.25W", -23.5, -114.25),
        ("Lat:23.5 S, Lon:114.25 W", -23.5, -114.25),
        ("Lat:23.5°n;Lon:114.25°e;", 23.5, 114.25),
        ("Lat:-23.5,Lon:-114.25", -23.5, -114.25),
        ("Lat:N23.5 Lon:E114.25 Speed:1", 23.5, 114.25),
        ("Lat:23.5 Speed:1,Lon:114.25 Speed:1", 23.5, 114.25),
        ("maps?q=22.5774,113.9163&ie=UTF8", 22.577_4, 113.916_3),
        ("<q=S22.5774,W113.9163>", -22.577_4, -113.916_3),
    ] {
        let found = Reading::read(text).position.expect(text);
        assert!((found.latitude - latitude).abs() < 1e-8, "{text} {found:?}");
        assert!(
            (found.longitude - longitude).abs() < 1e-8,
            "{text} {found:?}"
        );
    }
    for text in [
        "Lat:N23d5.1708,Lon:E114d23.6212",
        "Lat:N23 06.7009,Lon:E114 24.55",
        "Lat:N23d60.0m,Lon:E114d0.0m",
        "Lat:N23.5d6.0m,Lon:E114d0.0m",
        "Lat:N23°6'42\",Lon:E114°24'33\"",
        "Lat:N23x,Lon:E114x",
        "Lat:N23.5S,Lon:E114.25",
        "Lat:-23.5S,Lon:114.25",
        "Lat:N-23.5,Lon:E114.25",
        "Lat:23.5,Lon:114.25SE",
        "Lat:N23-5.1,Lon:E114-23.6",
    ] {
        assert_eq!(Reading::read(text).position, None, "{text}");
    }
}

#[test]
fn a_position_in_words_has_hemispheres_and_either_kind_of_year() {
    let a = Reading::read(
        "Current position!Lat:N23.111682,Lon:E114.409217,Course:12.50,Speed:0.3518,\
         DateTime:11-11-15  11:53:43",
    );
    let p = a.position.unwrap();
    assert_eq!((p.latitude, p.longitude), (23.111682, 114.409217));
    assert_eq!((p.speed_kmh, p.course_deg), (Some(0.3518), Some(12.5)));
    assert_eq!(p.time.unwrap().to_unix(), Some(1_321_358_023));
    assert!(!p.last_known);

    let b = Reading::read("Last position!Lat:S33.5,Lon:W70.25,DateTime:2017-05-26  10:27:47");
    let p = b.position.unwrap();
    assert_eq!((p.latitude, p.longitude), (-33.5, -70.25));
    assert_eq!(p.time.unwrap().year(), 17);
    assert!(p.last_known);

    let c = Reading::read("<DateTime:2020-01-02 03:04:05 http://maps.example/maps?q=S1.5,E2.25>");
    let p = c.position.unwrap();
    assert_eq!((p.latitude, p.longitude), (-1.5, 2.25));
    assert_eq!(p.time.unwrap().day(), 2);
}

#[test]
fn what_is_no_position_gives_none() {
    for text in [
        "Lat:N0.000000,Lon:E0.000000",
        "Lat:N91.0,Lon:E1.0",
        "Lat:,Lon:",
        "Lat:N1.0",
        "Flat:N1.0,Lon:E1.0",
        "q=abc",
    ] {
        assert_eq!(Reading::read(text).position, None, "{text}");
    }
    let no_date = Reading::read("Lat:N1.0,Lon:E1.0,DateTime:11-13-15 11:53:43");
    assert_eq!(
        no_date.position.unwrap().time,
        None,
        "an impossible time is absent"
    );
}

#[test]
fn a_status_text_gives_battery_and_switches() {
    let a = Reading::read(
        "Battery:4.16V,NORMAL; GPRS:Link Up; GSM Signal Level:Strong; \
         GPS:Searching satellite; ACC:OFF; Defense:ON",
    );
    assert_eq!(a.battery_v, Some(4.16));
    assert_eq!((a.ignition, a.armed), (Some(false), Some(true)));
    assert_eq!(Reading::read("Battery:NORMAL").battery_v, None);
    assert_eq!(
        Reading::read("Battery:42").battery_v,
        None,
        "no unit, no volts"
    );
}

#[test]
fn numbers_and_firmware_are_found() {
    let a = Reading::read("<ICCID:89882390000000000650>");
    assert_eq!(a.iccid, Some("89882390000000000650"));
    assert_eq!(Reading::read("ICCID: 8944 no").iccid, None);
    assert_eq!(
        Reading::read("IMSI:460046350100000;IMEI:123456789012345").imsi,
        Some("460046350100000")
    );
    assert_eq!(
        Reading::read("IMSI:460046350100000;IMEI:123456789012345").imei,
        Some("123456789012345")
    );
    let text = "[VERSION]GT06D_20_60DM2_V15_WM[BUILD]2013/12/28 15:24";
    assert_eq!(Reading::read(text).firmware, Some("GT06D_20_60DM2_V15_WM"));
    assert_eq!(Reading::read(text).firmware_build, Some("2013/12/28 15:24"));
}

#[test]
fn any_text_is_read_without_trouble() {
    for text in [
        "Lat:N",
        "Lat:é",
        "q=",
        "ICCID:",
        "[VERSION]",
        "Speed:é",
        "\u{feff}",
        "acc:",
    ] {
        assert_eq!(Reading::read(text).position, None, "{text}");
    }
    assert_eq!(ascii(b"  ok\0\0"), "ok");
    assert_eq!(utf16(&[0, b'O', 0, b'K', 0]), "OK");
    assert_eq!(utf16(&[0xd8, 0]), "\u{fffd}");
}
