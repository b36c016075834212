//! Numbers that are no plain 64-bit integer: doubles, and numbers with digits that a double does not carry.
//!
//! Two numbers are equal if they have the same value: 1.0 = 1.00 = 1. Each keeps the digits that it was written with.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The largest integer magnitude that a double, and so RFC 8785, carries exactly: 2^53 − 1.
pub const SAFE_INTEGER_MAX: i64 = (1 << 53) - 1;

/// The key of the object that carries a number's digits where JSON numbers are read as doubles: in histories and states.
pub(crate) const DIGITS_KEY: &str = "$number";

/// Beyond so many digits the canonical form has an exponent.
const PLAIN_DIGITS_MAX: i64 = 40;

/// A finite number that is not written as a plain 64-bit integer.
#[derive(Clone)]
pub struct Number(Repr);

#[derive(Clone)]
enum Repr {
    /// A finite double that is not an integer of the safe range.
    Double(f64),
    /// A JSON number whose digits a double would not give back.
    Digits(Arc<str>),
}

/// A number by its value, each value in one way.
#[derive(Clone, Debug)]
pub(crate) enum Plain {
    /// An integer of the safe range.
    Int(i64),
    /// What the shortest spelling of a double says.
    Double(f64),
    /// Any other, in its canonical spelling.
    Decimal(String),
}

impl Number {
    /// A double that is known to be finite and no integer of the safe range.
    pub(crate) fn of_double(double: f64) -> Self {
        Self(Repr::Double(double))
    }

    /// A JSON number by its digits; `None` if the text is none, or its exponent is beyond all measure.
    pub fn of_digits(text: &str) -> Option<Self> {
        let decimal = Decimal::read(text)?;
        // An exponent is only a way to write; other digits that a double does not give back are kept.
        if let Plain::Double(double) = decimal.plain()
            && (text.contains(['e', 'E']) || shortest(double) == text)
        {
            return Some(Self::of_double(double));
        }
        Some(Self(Repr::Digits(Arc::from(text))))
    }

    /// The nearest double.
    pub fn get(&self) -> f64 {
        match &self.0 {
            Repr::Double(double) => *double,
            Repr::Digits(text) => text.parse().unwrap_or(f64::NAN),
        }
    }

    /// The digits, where they are more than a double carries.
    pub(crate) fn digits(&self) -> Option<&str> {
        match &self.0 {
            Repr::Double(_) => None,
            Repr::Digits(text) => Some(text),
        }
    }

    /// Whether the shortest spelling of a double has this value.
    pub fn is_double(&self) -> bool {
        match self.plain() {
            Plain::Int(_) | Plain::Double(_) => true,
            Plain::Decimal(_) => false,
        }
    }

    /// All digits of a whole number; `None` for a fraction, and where they are too many to be an id or a count.
    pub fn whole(&self) -> Option<String> {
        Decimal::read(&self.to_string())?.whole()
    }

    /// Appends the one spelling of its value.
    pub(crate) fn write_canonical(&self, out: &mut Vec<u8>) {
        let text = match self.plain() {
            Plain::Int(int) => int.to_string(),
            Plain::Double(double) => shortest(double),
            Plain::Decimal(text) => text,
        };
        out.extend_from_slice(text.as_bytes());
    }

    /// Its value.
    pub(crate) fn plain(&self) -> Plain {
        match &self.0 {
            Repr::Double(double) => Plain::Double(*double),
            // What is not read here was never made.
            Repr::Digits(text) => Decimal::read(text)
                .map_or_else(|| Plain::Decimal(text.to_string()), |decimal| decimal.plain()),
        }
    }
}

impl fmt::Display for Number {
    /// As it is spelled.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Double(double) => f.write_str(&shortest(*double)),
            Repr::Digits(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Plain {
    fn rank(&self) -> u8 {
        match self {
            Plain::Int(_) => 0,
            Plain::Double(_) => 1,
            Plain::Decimal(_) => 2,
        }
    }

    /// A total order of values of one kind after the other, as it is stored in sets.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Plain::Int(left), Plain::Int(right)) => left.cmp(right),
            (Plain::Double(left), Plain::Double(right)) => left.total_cmp(right),
            (Plain::Decimal(left), Plain::Decimal(right)) => left.cmp(right),
            (left, right) => left.rank().cmp(&right.rank()),
        }
    }

    pub(crate) fn hash_into<H: Hasher>(&self, state: &mut H) {
        self.rank().hash(state);
        match self {
            Plain::Int(int) => int.hash(state),
            Plain::Double(double) => double.to_bits().hash(state),
            Plain::Decimal(text) => text.hash(state),
        }
    }
}

fn shortest(double: f64) -> String {
    ryu_js::Buffer::new().format_finite(double).to_owned()
}

/// `± digits × 10^exponent`, the digits without zeros at either end; no digits are zero.
#[derive(PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// Reads a number by the grammar of JSON.
    fn read(text: &str) -> Option<Self> {
        let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, power) = match rest.split_once(['e', 'E']) {
            Some((mantissa, power)) => (mantissa, Self::power(power)?),
            None => (rest, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (mantissa, ""),
        };
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty()
            || (whole.len() > 1 && whole.starts_with('0'))
            || !are_digits(whole)
            || !are_digits(fraction)
        {
            return None;
        }
        let all = format!("{whole}{fraction}");
        let kept = all.trim_end_matches('0');
        let cut = i64::try_from(all.len() - kept.len()).ok()?;
        let digits = kept.trim_start_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self { negative: false, digits, exponent: 0 });
        }
        Some(Self { negative, digits, exponent: power - i64::try_from(fraction.len()).ok()? + cut })
    }

    fn power(text: &str) -> Option<i64> {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        text.parse::<i32>().ok().map(i64::from)
    }

    fn plain(&self) -> Plain {
        let safe = |int: &i64| (-SAFE_INTEGER_MAX..=SAFE_INTEGER_MAX).contains(int);
        if let Some(int) = self.whole().and_then(|whole| whole.parse().ok()).filter(safe) {
            return Plain::Int(int);
        }
        let text = self.canonical();
        match text.parse::<f64>() {
            Ok(double) if double.is_finite() && Self::read(&shortest(double)).as_ref() == Some(self) => {
                // Whole numbers beyond the safe range are not doubles: their neighbours would be the same double.
                if self.exponent < 0 { Plain::Double(double) } else { Plain::Decimal(text) }
            }
            Ok(_) | Err(_) => Plain::Decimal(text),
        }
    }

    fn whole(&self) -> Option<String> {
        let zeros = usize::try_from(self.exponent).ok().filter(|zeros| *zeros as i64 <= PLAIN_DIGITS_MAX)?;
        let digits = if self.digits.is_empty() { "0" } else { &self.digits };
        Some(format!("{}{digits}{}", if self.negative { "-" } else { "" }, "0".repeat(zeros)))
    }

    /// One spelling for each value, which is a JSON number.
    fn canonical(&self) -> String {
        let sign = if self.negative { "-" } else { "" };
        if let Some(whole) = self.whole() {
            return whole;
        }
        let places = usize::try_from(-self.exponent).ok().filter(|places| *places as i64 <= PLAIN_DIGITS_MAX);
        match places {
            Some(places) if places < self.digits.len() => {
                let (whole, fraction) = self.digits.split_at(self.digits.len() - places);
                format!("{sign}{whole}.{fraction}")
            }
            Some(places) => format!("{sign}0.{}{}", "0".repeat(places - self.digits.len()), self.digits),
            None => format!("{sign}{}e{}", self.digits, self.exponent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Number;
    use crate::data::value::Value;

    fn value(text: &str) -> Value {
        Value::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn numbers_are_equal_by_value_and_keep_their_digits() {
        for same in [
            vec!["1", "1.0", "1.00", "1e0", "10e-1"],
            vec!["0", "0.0", "-0.0", "0e7"],
            vec!["12.5", "12.50", "125e-1"],
            vec!["12345678.12345678901", "12345678.123456789010", "1234567812345678901e-11"],
            vec!["12345678901234567890", "12345678901234567890.0", "1234567890123456789e1"],
            vec!["1e400", "10e399", "1.0E+400"],
            vec!["-0.1", "-0.10"],
        ] {
            for text in &same {
                assert_eq!(value(text), value(same[0]), "{text}");
                assert_eq!(value(text).digest(), value(same[0]).digest(), "{text}");
                let canonical = value(text).canonical();
                assert_eq!(canonical, value(same[0]).canonical(), "{text}");
                assert_eq!(Value::parse(&canonical).map(|value| value.canonical()), Ok(canonical), "{text}");
            }
        }
        for text in ["1.0", "12.50", "12345678.12345678901", "12345678901234567890", "0.1"] {
            assert_eq!(value(text).to_string(), text);
            let stored = serde_json::to_string(&value(&format!("[{text}]"))).unwrap_or_default();
            let read: Value = serde_json::from_str(&stored).unwrap_or_default();
            assert_eq!(read.to_string(), format!("[{text}]"), "{stored}");
        }
    }

    #[test]
    fn neighbours_do_not_collapse() {
        for (left, right) in [
            ("12345678.12345678901", "12345678.12345678902"),
            ("12345678901234567890", "12345678901234567891"),
            ("9007199254740993.0", "9007199254740992.0"),
            ("1e400", "1e401"),
            ("0.1", "0.1000000000000000055"),
            ("[9007199254740993.0]", "[\"9007199254740993\"]"),
        ] {
            assert_ne!(value(left), value(right));
            assert_ne!(value(left).digest(), value(right).digest());
        }
    }

    #[test]
    fn only_numbers_are_read() {
        for text in ["", "-", "+1", "01", ".5", "5.", "1e", "1e+", "0x1", "1_0", "NaN", "1e99999999999"] {
            assert!(Number::of_digits(text).is_none(), "{text}");
        }
    }
}
