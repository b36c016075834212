//! Small pictures in SVG, for reports and pages alike: no script, no style of their own, and their words for those who do
//! not see them. Their colours come from the classes of the page.

use crate::page::text;
use std::fmt::Write as _;

/// How wide a picture is drawn. A page may show it in any width.
const WIDTH: u64 = 400;
/// How tall a bar is.
const BAR_HEIGHT: u64 = 16;
/// How tall a line is.
const LINE_HEIGHT: u64 = 48;

/// One part of a bar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part<'a> {
    /// What gives it its colour: a class of the page.
    pub class: &'a str,
    /// How many.
    pub count: u64,
    /// Of what, as in `12 replaced`.
    pub words: &'a str,
}

impl Part<'_> {
    fn told(&self) -> String {
        format!("{} {}", self.count, self.words)
    }
}

/// Parts side by side, to a scale on which `most` fills the bar. A part that is there is seen, however small.
pub fn bar(parts: &[Part<'_>], most: u64) -> String {
    let there = parts.iter().filter(|part| part.count > 0);
    let words = there.clone().map(Part::told).collect::<Vec<_>>().join(", ");
    let mut out = begin("bar", BAR_HEIGHT, &words);
    let mut left = 0;
    for part in there {
        let width = part.count.saturating_mul(WIDTH).div_ceil(most.max(1)).min(WIDTH.saturating_sub(left));
        let _ = write!(
            out,
            "<rect class=\"{}\" x=\"{left}\" width=\"{width}\" height=\"{BAR_HEIGHT}\"><title>{}</title></rect>",
            text(part.class),
            text(&part.told())
        );
        left += width;
    }
    out + "</svg>"
}

/// How much of a whole. All of it is shown only where it is all of it.
pub fn share(part: u64, whole: u64) -> String {
    let width = part.min(whole).saturating_mul(WIDTH).checked_div(whole).unwrap_or_default();
    let mut out = begin("share", BAR_HEIGHT, &format!("{part} of {whole}"));
    let _ = write!(out, "<rect class=\"agrees\" width=\"{width}\" height=\"{BAR_HEIGHT}\"/></svg>");
    out
}

/// Values one after the other as a line between 0 and `top`; where one is missing there is a gap.
pub fn line(values: &[Option<f64>], top: f64, words: &str) -> String {
    let step = WIDTH as f64 / (values.len().saturating_sub(1)).max(1) as f64;
    let height = LINE_HEIGHT as f64;
    let mut out = begin("line", LINE_HEIGHT, words);
    for stretch in stretches(values) {
        let places: Vec<String> = stretch
            .iter()
            .map(|(at, value)| {
                let share = if top > 0.0 { (value / top).clamp(0.0, 1.0) } else { 0.0 };
                // Half the width of the line stays inside at both ends.
                format!("{:.1},{:.1}", *at as f64 * step, height - 1.0 - share * (height - 2.0))
            })
            .collect();
        match places.as_slice() {
            [alone] => {
                let (x, y) = alone.split_once(',').unwrap_or_default();
                let _ = write!(out, "<circle cx=\"{x}\" cy=\"{y}\" r=\"2\"/>");
            }
            several => {
                let _ = write!(out, "<polyline points=\"{}\"/>", several.join(" "));
            }
        }
    }
    out + "</svg>"
}

/// The values that stand side by side without a gap, with their places.
fn stretches(values: &[Option<f64>]) -> Vec<Vec<(usize, f64)>> {
    let mut out: Vec<Vec<(usize, f64)>> = Vec::new();
    let mut goes_on = false;
    for (at, value) in values.iter().enumerate() {
        match (value.filter(|value| value.is_finite()), out.last_mut()) {
            (Some(value), Some(last)) if goes_on => last.push((at, value)),
            (Some(value), _) => out.push(vec![(at, value)]),
            (None, _) => {}
        }
        goes_on = value.is_some_and(f64::is_finite);
    }
    out
}

fn begin(class: &str, height: u64, words: &str) -> String {
    format!(
        "<svg class=\"{class}\" viewBox=\"0 0 {WIDTH} {height}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">",
        text(words)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_has_its_parts_in_order_and_none_that_is_not_there() {
        let parts = [
            Part { class: "a", count: 1, words: "first" },
            Part { class: "b", count: 0, words: "second" },
            Part { class: "c", count: 1_000_000, words: "<third>" },
        ];
        let drawn = bar(&parts, 1_000_001);
        assert!(drawn.contains("aria-label=\"1 first, 1000000 &lt;third&gt;\""), "{drawn}");
        assert!(
            drawn.contains("class=\"a\" x=\"0\" width=\"1\"") && !drawn.contains("class=\"b\""),
            "{drawn}"
        );
        assert!(drawn.contains("class=\"c\" x=\"1\" width=\"399\""), "{drawn}");
        assert_eq!(bar(&[], 0).matches("<rect").count(), 0);
    }

    #[test]
    fn nearly_all_is_not_drawn_as_all() {
        assert!(share(999_999, 1_000_000).contains("width=\"399\""));
        assert!(share(7, 7).contains("width=\"400\""));
        assert!(share(0, 0).contains("width=\"0\""));
    }

    #[test]
    fn a_missing_value_is_a_gap_and_a_lonely_one_a_point() {
        let drawn = line(&[Some(0.0), Some(1.0), None, Some(0.5), Some(f64::NAN)], 1.0, "agreement");
        assert!(drawn.contains("<polyline points=\"0.0,47.0 100.0,1.0\"/>"), "{drawn}");
        assert!(drawn.contains("<circle cx=\"300.0\" cy=\"24.0\" r=\"2\"/>"), "{drawn}");
        assert_eq!(line(&[], 1.0, "nothing").matches('<').count(), 2);
    }
}
