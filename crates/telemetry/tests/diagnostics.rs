//! The JSON form of `diagnostics` and `address_claim` is public: a change to it shows here.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use milepost_telemetry::*;

fn report() -> Report {
    let now = Timestamp::from_unix(1_763_622_000);
    let seed = IdentitySeed::new(None, None, "j1939");
    let decoder = Decoder::new("j1939", "j1939/0.1.0");
    Report::new(
        ReportId::mint(seed, now, b"key"),
        decoder,
        Kind::Diagnostics,
        now,
    )
}

fn full() -> Report {
    let mut diagnostics = Diagnostics::default();
    diagnostics.message = Some(Name::new("dm1"));
    diagnostics.source = Some(0);
    diagnostics.lamps = Some(Lamps {
        mil: LampState::On,
        rsl: LampState::Off,
        awl: LampState::Error,
        pl: LampState::NotAvailable,
    });
    diagnostics.flash = Some(LampFlashes {
        mil: LampFlash::Slow,
        rsl: LampFlash::Fast,
        awl: LampFlash::Reserved,
        pl: LampFlash::None,
    });
    let mut old = Dtc::j1939(111, 16, 3, 1);
    old.raw = Some("6f001083".into());
    diagnostics.dtcs = Some(vec![Dtc::j1939(191, 9, 8, 0), old, Dtc::obd("P0143")]);
    diagnostics.ratios = vec![MonitorRatio {
        spn: 5322,
        numerator: 3,
        denominator: 4,
    }];
    let mut test = TestResult::new(247, 256);
    test.spn = Some(3521);
    test.fmi = Some(18);
    test.value = Some(12);
    diagnostics.tests = vec![test];
    diagnostics.supported = vec![SupportedSpn {
        spn: 91,
        freeze_frame: true,
        data_stream: true,
        test_results: false,
        rationality: false,
        length: 1,
    }];
    diagnostics.calibrations = vec![Calibration::new(
        Some("CAL-1".into()),
        Some("12AB34CD".into()),
    )];
    diagnostics.freeze_frames = vec![FreezeFrame {
        dtc: Dtc::j1939(91, 4, 1, 0),
        data: "7d7d".into(),
    }];
    diagnostics.refused = Some(Refusal {
        service: 9,
        code: 0x12,
    });
    let mut report = report();
    report.more.diagnostics = Some(Box::new(diagnostics));
    report.more.address_claim = Some(Box::new(AddressClaim::new(33, 0x2012_3456_0460_0ABC)));
    report
}

#[test]
fn the_form_is_what_it_always_was() {
    let json = serde_json::to_string_pretty(&full()).unwrap();
    assert_eq!(
        json,
        include_str!("snapshots/diagnostics.json").trim_end(),
        "the public form changed:\n{json}"
    );
}

#[test]
fn what_is_written_is_read_back() {
    let json = serde_json::to_string(&full()).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), full());
}

#[test]
fn no_codes_and_codes_not_stated_are_two_things() {
    let mut stated = report();
    let mut none = Diagnostics::default();
    none.dtcs = Some(Vec::new());
    stated.more.diagnostics = Some(Box::new(none));
    let json = serde_json::to_string(&stated).unwrap();
    assert!(json.contains(r#""diagnostics":{"dtcs":[]}"#), "{json}");
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), stated);
}

#[test]
fn every_bit_of_a_name_belongs_to_one_field() {
    let claim = AddressClaim::new(5, 0xC046_AAEF_2CC0_01F5);
    assert_eq!(claim.identity_number, 501);
    assert_eq!(claim.manufacturer_code, 358);
    assert_eq!(claim.ecu_instance, 7);
    assert_eq!(claim.function_instance, 29);
    assert_eq!(claim.function, 170);
    assert_eq!(claim.vehicle_system, 35);
    assert_eq!(claim.vehicle_system_instance, 0);
    assert_eq!(claim.industry_group, 4);
    assert!(claim.arbitrary_address_capable);
}
