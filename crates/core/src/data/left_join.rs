//! Two ordered maps over the same names, walked side by side.

use std::collections::BTreeMap;
use std::collections::btree_map::Iter;
use std::iter::Peekable;

/// For every entry of `left`, in order, what `right` holds under its key.
///
/// The fields of a record, its shadows and its mapping have the same few names, so a walk costs one comparison a
/// field where a look-up costs one for every level and neighbour.
pub(crate) fn left_join<'a, K: Ord, L, R>(
    left: &'a BTreeMap<K, L>,
    right: &'a BTreeMap<K, R>,
) -> LeftJoin<'a, K, L, R> {
    LeftJoin { left: left.iter(), right: right.iter().peekable() }
}

/// The iterator of [`left_join`].
pub(crate) struct LeftJoin<'a, K, L, R> {
    left: Iter<'a, K, L>,
    right: Peekable<Iter<'a, K, R>>,
}

impl<'a, K: Ord, L, R> Iterator for LeftJoin<'a, K, L, R> {
    type Item = (&'a K, &'a L, Option<&'a R>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (key, left) = self.left.next()?;
        while let Some((other, right)) = self.right.peek() {
            match (*other).cmp(key) {
                std::cmp::Ordering::Less => self.right.next(),
                std::cmp::Ordering::Equal => return Some((key, left, Some(right))),
                std::cmp::Ordering::Greater => break,
            };
        }
        Some((key, left, None))
    }
}
