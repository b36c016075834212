//! Lengths of time as people write them.

/// How they are written, for messages.
pub const FORM: &str = "Write a time of at most 31 days, as in 90s, 5m, 6h or 1d";

/// The longest, in milliseconds.
const MS_MAX: u64 = 31 * 24 * 3_600_000;

/// `500ms`, `90s`, `5m`, `6h` or `1d` in milliseconds.
pub fn milliseconds(text: &str) -> Option<u64> {
    let digits = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 24 * 3_600_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor).filter(|ms| *ms <= MS_MAX)
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn a_time_is_a_number_with_its_unit() {
        let read = ["0s", "500ms", "90s", "5m", "6h", "31d"].map(milliseconds);
        assert_eq!(read.map(Option::unwrap_or_default), [0, 500, 90_000, 300_000, 21_600_000, 2_678_400_000]);
        for text in ["", "5", "m", "5 m", "-5m", "5.5h", "32d", "99999999999999999999s", "5M"] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }
}
