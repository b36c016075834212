//! Links to the next page, from the `Link` headers of an answer (RFC 8288).

use crate::http::answer::reply::Reply;
use reqwest::header::LINK;

/// What the `Link` headers of an answer say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Links {
    /// There are none that can be understood.
    None,
    /// There are links, and none of them leads to a next page.
    NoNext,
    /// The target of the next page.
    Next(String),
}

/// Reads all `Link` headers of an answer.
pub(super) fn links(reply: &Reply) -> Links {
    let headers = reply.headers.get_all(LINK).iter();
    read(headers.map(|value| String::from_utf8_lossy(value.as_bytes())))
}

fn read(headers: impl Iterator<Item = impl AsRef<str>>) -> Links {
    let mut found = Links::None;
    for header in headers {
        for (target, relations) in parse(header.as_ref()) {
            if relations.iter().any(|relation| relation.eq_ignore_ascii_case("next")) {
                return Links::Next(target);
            }
            found = Links::NoNext;
        }
    }
    found
}

/// The targets of a header with their relation types. What stands behind something that is no link is not read.
fn parse(header: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([',', ' ', '\t']);
        let Some((target, after)) = rest.strip_prefix('<').and_then(|inside| inside.split_once('>')) else {
            return found;
        };
        let (relations, behind) = parameters(after);
        found.push((target.trim().to_owned(), relations));
        rest = behind;
    }
}

/// The words of the first `rel` among the parameters of one link, and what stands behind the link.
fn parameters(text: &str) -> (Vec<String>, &str) {
    let mut relations: Option<Vec<String>> = None;
    let mut rest = text.trim_start();
    while let Some(after) = rest.strip_prefix(';') {
        let after = after.trim_start();
        let end = after.find(['=', ';', ',']).unwrap_or(after.len());
        let (name, behind) = (after[..end].trim(), &after[end..]);
        let (value, behind) = match behind.strip_prefix('=') {
            Some(value) => value_of(value.trim_start()),
            None => (String::new(), behind),
        };
        // Only the first one counts.
        if name.eq_ignore_ascii_case("rel") && relations.is_none() {
            relations = Some(value.split_ascii_whitespace().map(str::to_owned).collect());
        }
        rest = behind.trim_start();
    }
    (relations.unwrap_or_default(), rest)
}

/// A token or a quoted text, and what stands behind it.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ',']).unwrap_or(text.len());
        return (text[..end].trim().to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: &str, expected: Option<&str>) {
        let next = match read([header].into_iter()) {
            Links::Next(target) => Some(target),
            Links::NoNext | Links::None => None,
        };
        assert_eq!(next.as_deref(), expected, "{header}");
    }

    #[test]
    fn every_form_of_the_header_is_understood() {
        check("</a?p=2>; rel=\"next\"", Some("/a?p=2"));
        check("</a?p=2&f=id,name;x>; rel=\"next\"", Some("/a?p=2&f=id,name;x"));
        check("</a?p=1>; rel=first, </a?p=2>; rel=next", Some("/a?p=2"));
        check("</a?p=2>;REL=\"Next\"", Some("/a?p=2"));
        check("</a?p=2>; rel=\"last next\"", Some("/a?p=2"));
        check("</a?p=2>; title=\"a, b; rel=\\\"prev\\\"\"; rel=\"next\"", Some("/a?p=2"));
        check("</a>; title=\"</b>; rel=next\"; rel=prev , <c?p=3> ; rel = next", Some("c?p=3"));
        check("</a?p=2>; rel=prev; rel=next", None);
        check("</a?p=2>; rev=next", None);
        check("</a?p=2>; rel=\"nextish\"", None);
        check("</a?p=2>; results=\"true\"; rel=\"next\"; cursor=\"0:100:0\"", Some("/a?p=2"));
        check("</a?p=2>; crossorigin; rel=next;", Some("/a?p=2"));
        check("/a?p=2; rel=next", None);
        check("", None);
    }
}
