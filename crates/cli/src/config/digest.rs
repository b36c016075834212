//! The digest of a whole configuration: which one a run worked under, without any secret in it.

use super::node::{Kind, Node};
use avowal_core::data::value::Digest;

/// How many hexadecimal digits a run shows.
const SHOWN: usize = 12;

/// The short digest of everything that is written in the file. What is fetched through `env:` or `file:` is left out, and
/// so are the credentials in an address.
pub fn digest(root: &Node) -> String {
    let mut text = String::new();
    spell(root, &mut text);
    Digest::of(text.as_bytes()).to_string().chars().take(SHOWN).collect()
}

/// Spells a value so that two configurations that say the same, in whatever order and layout, have one text.
fn spell(node: &Node, text: &mut String) {
    match &node.kind {
        Kind::Text(_) if node.fetched => text.push_str("fetched"),
        Kind::Text(value) => text.push_str(&format!("{:?}", without_credentials(value))),
        Kind::Integer(value) => text.push_str(&value.to_string()),
        Kind::Float(value) => text.push_str(&format!("{value:?}")),
        Kind::Boolean(value) => text.push_str(&value.to_string()),
        Kind::Time(value) => text.push_str(value),
        Kind::List(list) => {
            text.push('[');
            for node in list {
                spell(node, text);
                text.push(',');
            }
            text.push(']');
        }
        Kind::Table(table) => {
            text.push('{');
            for (key, entry) in table {
                text.push_str(&format!("{key:?}="));
                spell(&entry.node, text);
                text.push(',');
            }
            text.push('}');
        }
    }
}

/// `scheme://user:password@host` without what stands before the host.
fn without_credentials(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    let authority_ends = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_ends);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::node::parse;
    use crate::config::problem::Report;
    use crate::config::reference::References;

    fn of(text: &str) -> String {
        let report = Report::new(text);
        parse(text, &References::new("."), &report).map(|root| digest(&root)).unwrap_or_default()
    }

    #[test]
    fn layout_comments_and_credentials_do_not_count_and_everything_else_does() {
        let one = of("[a]\nx = 1\nurl = 'postgres://ann:secret@host/db'\n");
        assert_eq!(one.len(), SHOWN);
        assert_eq!(one, of("# a comment\na = { url = \"postgres://bob:other@host/db\", x = 1 }\n"));
        assert_ne!(one, of("[a]\nx = 2\nurl = 'postgres://ann:secret@host/db'\n"));
        assert_ne!(one, of("[a]\nx = 1\nurl = 'postgres://ann:secret@host/other'\n"));
        assert_eq!(of("x = 'env:HOME'"), of("x = 'env:PATH'"));
    }
}
