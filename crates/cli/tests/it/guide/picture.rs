//! Draws a command and what it prints as an SVG that can be read on light and on dark pages.

/// The most characters of a line; longer ones go on below, indented.
const LINE_CHARS_MAX: usize = 104;
const CHAR_WIDTH: f32 = 7.3;
const LINE_HEIGHT: usize = 19;

/// The picture.
pub fn draw(command: &str, output: &str) -> String {
    let mut lines = vec![(Role::Command, format!("$ {}", command.trim_end()))];
    for line in output.lines() {
        for (at, part) in wrapped(line).into_iter().enumerate() {
            let role = if at == 0 { Role::First } else { Role::More };
            lines.push((role, part));
        }
    }
    let width = (LINE_CHARS_MAX as f32 * CHAR_WIDTH) as usize + 40;
    let height = lines.len() * LINE_HEIGHT + 52;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"{}\">\n<!-- Written by the test of the guide from what the command prints. -->\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#1f2430\"/>\n\
         <g font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, monospace\" font-size=\"12\" \
         xml:space=\"preserve\">\n",
        escaped(command.trim_end())
    );
    for (at, (role, line)) in lines.iter().enumerate() {
        let y = 36 + at * LINE_HEIGHT;
        out += &format!("<text x=\"20\" y=\"{y}\" fill=\"{}\">{}</text>\n", role.colour(line), escaped(line));
    }
    out + "</g>\n</svg>\n"
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Command,
    First,
    More,
}

impl Role {
    /// A conflict stands out; what has been confirmed is calm.
    fn colour(self, line: &str) -> &'static str {
        match self {
            Role::Command => "#7fd1b9",
            Role::First | Role::More if line.contains("conflict over") => "#ffcc66",
            Role::First | Role::More => "#d5d9e0",
        }
    }
}

/// A line cut at blanks, the later parts indented.
fn wrapped(line: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for word in line.split(' ') {
        let last = parts.len() - 1;
        if parts[last].chars().count() + 1 + word.chars().count() > LINE_CHARS_MAX {
            parts.push(format!("           {word}"));
        } else {
            if !parts[last].is_empty() {
                parts[last].push(' ');
            }
            parts[last].push_str(word);
        }
    }
    parts
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
