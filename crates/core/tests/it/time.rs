//! Times have one written form, and our own way of writing and reading it agrees with the calendar's library.

use avowal_core::data::time::Timestamp;

#[test]
fn times_of_all_years_are_spelled_and_read_as_the_calendar_says() {
    const DAY_MS: usize = 86_400_000;
    let (year_0, year_9999) = (-62_167_219_200_000_i64, 253_402_207_199_999);
    // An odd step, so that months, days and times of day all come by; and the edge before the year 0.
    for at in (year_0 - 3 * DAY_MS as i64..year_9999).step_by(43 * DAY_MS + 8_765_432) {
        let time = Timestamp::from_millis(at);
        let oracle = format!("{:.3}", jiff::Timestamp::from_millisecond(at).unwrap());
        assert_eq!(time.to_string(), oracle);
        let json = serde_json::to_string(&time).unwrap();
        assert_eq!(json, format!("\"{oracle}\""));
        assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), time);
        assert_eq!(oracle.parse::<Timestamp>(), Ok(time));
    }
}

#[test]
fn another_spelling_is_refused_where_histories_are_read() {
    for wrong in [
        "2026-02-30T00:00:00.000Z",
        "2026-13-01T00:00:00.000Z",
        "2026-01-01T24:00:00.000Z",
        "2026-01-01T00:00:60.000Z",
        "2026-01-01 00:00:00.000Z",
        "2026-01-01T00:00:00.000z",
        "2026-01-01T00:00:00.00Z",
        "2026-01-01T00:00:00.0000Z",
        "2026-01-01T01:00:00.000+01",
        "",
    ] {
        assert!(serde_json::from_value::<Timestamp>(wrong.into()).is_err(), "{wrong}");
    }
    assert_eq!("2026-01-01T01:00:00+01:00".parse(), Ok(Timestamp::from_millis(1_767_225_600_000)));
}
