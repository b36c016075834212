//! The order-free digest of many rows: each row's own digest, added up.

use avowal_core::data::ids::RemoteId;
use avowal_core::data::value::Digest;

/// How many rows there are on one side, and the sum of their digests. Rows in any order give the same sum, and a row that
/// comes twice another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct RowSum {
    pub(super) rows: u64,
    sum: u128,
}

impl RowSum {
    /// Adds a row: the first 16 bytes of the SHA-256 over its id and the digest of its contents.
    pub(super) fn add(&mut self, id: &RemoteId, content: &Digest) {
        let text = format!("{id}\n{content}");
        let digest = Digest::of(text.as_bytes()).to_string();
        let first = digest.get(..32).and_then(|hex| u128::from_str_radix(hex, 16).ok());
        self.rows += 1;
        self.sum = self.sum.wrapping_add(first.unwrap_or_default());
    }

    /// The sum as 32 hexadecimal digits.
    pub(super) fn hash(&self) -> String {
        format!("{:032x}", self.sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(rows: &[(&str, &str)]) -> RowSum {
        let mut sum = RowSum::default();
        rows.iter().for_each(|(id, content)| sum.add(&RemoteId::new(id), &Digest::of(content.as_bytes())));
        sum
    }

    #[test]
    fn the_order_of_rows_does_not_count_and_everything_else_does() {
        let one = sum(&[("1", "a"), ("2", "b")]);
        assert_eq!(one, sum(&[("2", "b"), ("1", "a")]));
        for other in [&[("1", "b"), ("2", "a")][..], &[("1", "a")], &[("1", "a"), ("2", "b"), ("2", "b")]] {
            assert_ne!(one, sum(other), "{other:?}");
        }
        assert_eq!((one.rows, one.hash().len()), (2, 32));
    }
}
