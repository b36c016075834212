//! Small SVG plots, without a library.

use crate::report::count;
use std::fmt::Write as _;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 70.0;
const BOTTOM: f64 = 40.0;
const TOP: f64 = 30.0;

/// Points joined by a line; both axes begin at zero, the horizontal one may be logarithmic.
pub fn line(title: &str, x: &str, y: &str, points: &[(f64, f64)], is_log: bool) -> String {
    let place = |value: f64| if is_log { value.max(1.0).log10() } else { value };
    let lowest = if is_log { points.iter().map(|(x, _)| place(*x)).fold(f64::MAX, f64::min) } else { 0.0 };
    let widest = points.iter().map(|(x, _)| place(*x)).fold(f64::MIN, f64::max);
    let highest = points.iter().map(|(_, y)| *y).fold(f64::MIN_POSITIVE, f64::max) * 1.1;
    let right = WIDTH - 30.0;
    let across = |value: f64| LEFT + (place(value) - lowest) / (widest - lowest).max(1e-9) * (right - LEFT);
    let up = |value: f64| HEIGHT - BOTTOM - value / highest * (HEIGHT - BOTTOM - TOP);
    let mut body = String::new();
    let path: Vec<String> = points.iter().map(|(x, y)| format!("{:.1},{:.1}", across(*x), up(*y))).collect();
    let _ = writeln!(
        body,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#0b6\" stroke-width=\"2\"/>",
        path.join(" ")
    );
    let labelled = points.len() <= 8;
    for (x, y) in points.iter().filter(|_| labelled) {
        let (left, top) = (across(*x), up(*y));
        let _ = writeln!(body, "<circle cx=\"{left:.1}\" cy=\"{top:.1}\" r=\"3\" fill=\"#0b6\"/>");
        let _ = writeln!(
            body,
            "<text x=\"{left:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            top - 7.0,
            short(*y)
        );
        let _ = writeln!(
            body,
            "<text x=\"{left:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            HEIGHT - BOTTOM + 14.0,
            count(*x)
        );
    }
    if !labelled {
        for part in [0.0, 0.5, 1.0] {
            let value = lowest + (widest - lowest) * part;
            let shown = if is_log { 10_f64.powf(value) } else { value };
            let _ = writeln!(
                body,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                across(shown),
                HEIGHT - BOTTOM + 14.0,
                short(shown)
            );
        }
    }
    frame(title, x, y, &body)
}

/// One bar a name.
pub fn bars(title: &str, y: &str, values: &[(String, f64)]) -> String {
    let highest = values.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max) * 1.1;
    let step = (WIDTH - LEFT - 20.0) / values.len().max(1) as f64;
    let mut body = String::new();
    for (at, (name, value)) in values.iter().enumerate() {
        let left = LEFT + 10.0 + step * at as f64;
        let tall = value / highest * (HEIGHT - BOTTOM - TOP);
        let top = HEIGHT - BOTTOM - tall;
        let (wide, middle) = (step * 0.7, left + step * 0.35);
        let _ = writeln!(
            body,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{wide:.1}\" height=\"{tall:.1}\" fill=\"#0b6\"/>"
        );
        let _ = writeln!(
            body,
            "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            top - 4.0,
            short(*value)
        );
        let _ = writeln!(
            body,
            "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{name}</text>",
            HEIGHT - BOTTOM + 14.0
        );
    }
    frame(title, "", y, &body)
}

fn frame(title: &str, x: &str, y: &str, body: &str) -> String {
    let (floor, middle) = (HEIGHT - BOTTOM, WIDTH / 2.0);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
         <text x=\"{middle}\" y=\"16\" text-anchor=\"middle\" font-size=\"13\">{title}</text>\n\
         <path d=\"M{LEFT} {TOP} V{floor} H{}\" fill=\"none\" stroke=\"#888\"/>\n\
         <text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{x}</text>\n\
         <text x=\"14\" y=\"{}\" text-anchor=\"middle\" transform=\"rotate(-90 14 {})\">{y}</text>\n{body}</svg>\n",
        WIDTH - 20.0,
        HEIGHT - 8.0,
        HEIGHT / 2.0,
        HEIGHT / 2.0,
    )
}

fn short(value: f64) -> String {
    if value >= 100.0 { count(value) } else { format!("{value:.1}") }
}
