//! The unique keys of a table, as tests in SQL: through them a statement may remove another row without a trigger.
//!
//! `INSERT OR REPLACE` and `UPDATE OR REPLACE` remove every row that a unique index forbids beside the new one. The test
//! of a key says which rows these are, before the statement removes them.

use super::names::quote;
use super::session::Failure;
use rusqlite::{Connection, OptionalExtension};

/// A unique key beside the id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct UniqueKey {
    /// Whether row `t` may not stand beside the row `new`.
    pub conflicts: String,
    /// The columns that it is computed from.
    pub columns: Vec<String>,
}

/// The unique keys of a table.
#[derive(Default, Debug)]
pub(super) struct UniqueKeys {
    /// Those beside the id.
    pub others: Vec<UniqueKey>,
    /// Whether the id alone identifies a row.
    pub is_id_unique: bool,
    /// The indexes that are not understood.
    pub unknown: Vec<String>,
}

/// One column of an index.
struct Part {
    /// Its name; `None` for an expression.
    column: Option<String>,
    collation: String,
}

/// The unique keys of a table, whose columns are `columns`.
pub(super) fn unique_keys(
    connection: &Connection,
    table: &str,
    id: &str,
    columns: &[String],
) -> Result<UniqueKeys, Failure> {
    let indexes = connection
        .prepare_cached("SELECT name, partial FROM pragma_index_list(?1) WHERE \"unique\" = 1 ORDER BY seq")?
        .query_map([table], |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?)))?
        .collect::<Result<Vec<_>, _>>()?;
    let mut keys = UniqueKeys::default();
    for (index, is_partial) in indexes {
        let parts = parts(connection, &index)?;
        let plain: Option<Vec<_>> = parts.iter().map(|part| part.column.as_deref()).collect();
        match plain {
            Some(plain) if !is_partial => {
                let is_id = matches!(plain[..], [only] if only.eq_ignore_ascii_case(id));
                keys.is_id_unique |= is_id;
                // Another collation takes ids for equal that are two.
                if !is_id || parts.iter().any(|part| !part.collation.eq_ignore_ascii_case("binary")) {
                    keys.others.push(plain_key(&parts));
                }
            }
            Some(_) | None => match computed_key(connection, &index, &parts, columns)? {
                Some(key) => keys.others.push(key),
                None => keys.unknown.push(index),
            },
        }
    }
    Ok(keys)
}

fn parts(connection: &Connection, index: &str) -> Result<Vec<Part>, Failure> {
    let parts = connection
        .prepare_cached("SELECT name, coll FROM pragma_index_xinfo(?1) WHERE key = 1 ORDER BY seqno")?
        .query_map([index], |row| Ok(Part { column: row.get(0)?, collation: row.get(1)? }))?
        .collect::<Result<_, _>>()?;
    Ok(parts)
}

/// A key over one plain column, compared as it is stored.
pub(super) fn column_key(column: &str) -> UniqueKey {
    plain_key(&[Part { column: Some(column.to_owned()), collation: "BINARY".to_owned() }])
}

fn plain_key(parts: &[Part]) -> UniqueKey {
    let columns: Vec<_> = parts.iter().filter_map(|part| part.column.clone()).collect();
    let tests: Vec<_> = parts
        .iter()
        .filter_map(|part| part.column.as_ref().map(|column| (quote(column), quote(&part.collation))))
        .map(|(column, collation)| format!("t.{column} = new.{column} COLLATE {collation}"))
        .collect();
    UniqueKey { conflicts: tests.join(" AND "), columns }
}

/// The key of an index over expressions, or over some of the rows, from its text; `None` if that is not understood.
fn computed_key(
    connection: &Connection,
    index: &str,
    parts: &[Part],
    columns: &[String],
) -> Result<Option<UniqueKey>, Failure> {
    let sql: Option<String> = connection
        .prepare_cached("SELECT sql FROM sqlite_master WHERE type = 'index' AND name = ?1")?
        .query_row([index], |row| row.get(0))
        .optional()?
        .flatten();
    let Some(text) = sql.as_deref().and_then(IndexText::read) else { return Ok(None) };
    if text.parts.len() != parts.len() {
        return Ok(None);
    }
    // Only what the index names is named again, so that no other column is held fast by our trigger.
    let named: Vec<String> = columns
        .iter()
        .filter(|column| text.names.iter().any(|name| name.eq_ignore_ascii_case(column)))
        .cloned()
        .collect();
    let aliases: Vec<_> = named.iter().map(|column| format!("new.{0} AS {0}", quote(column))).collect();
    // The text of the index names plain columns. They are found in `t`, or in the new row under the same names.
    let of_new = |expression: &str| match aliases.is_empty() {
        true => format!("({expression})"),
        false => format!("(SELECT {expression} FROM (SELECT {}))", aliases.join(", ")),
    };
    let mut tests: Vec<_> = text
        .parts
        .iter()
        .zip(parts)
        .map(|(expression, part)| {
            format!("({expression}) = {} COLLATE {}", of_new(expression), quote(&part.collation))
        })
        .collect();
    if let Some(rows) = &text.rows {
        tests.push(format!("({rows})"));
        tests.push(of_new(rows));
    }
    Ok(Some(UniqueKey { conflicts: tests.join(" AND "), columns: named }))
}

/// What the text of an index says: `CREATE UNIQUE INDEX name ON table (parts) WHERE rows`.
#[derive(PartialEq, Eq, Debug)]
struct IndexText {
    parts: Vec<String>,
    rows: Option<String>,
    /// Every word in it that may be the name of a column.
    names: Vec<String>,
}

impl IndexText {
    fn read(sql: &str) -> Option<Self> {
        let tokens = tokens(sql)?;
        let open = tokens.iter().position(|token| *token == "(")?;
        let (mut parts, mut part, mut depth, mut at) = (Vec::new(), Vec::new(), 0_u32, open);
        loop {
            let token = *tokens.get(at)?;
            match token {
                "(" if depth == 0 => depth = 1,
                ")" if depth == 1 => break,
                "," if depth == 1 => parts.push(std::mem::take(&mut part)),
                _ => {
                    depth = match token {
                        "(" => depth + 1,
                        ")" => depth - 1,
                        _ => depth,
                    };
                    part.push(token);
                }
            }
            at += 1;
        }
        parts.push(part);
        let rest = &tokens[at + 1..];
        let rows = match rest {
            [] => None,
            [word, rows @ ..] if word.eq_ignore_ascii_case("where") => Some(rows.join(" ")),
            _ => return None,
        };
        let names = tokens[open..].iter().map(|token| unquoted(token)).collect();
        Some(Self { parts: parts.iter().map(|part| without_order(part).join(" ")).collect(), rows, names })
    }
}

/// A part without the direction in which the index holds it.
fn without_order<'a, 'b>(part: &'b [&'a str]) -> &'b [&'a str] {
    match part {
        [rest @ .., last] if last.eq_ignore_ascii_case("asc") || last.eq_ignore_ascii_case("desc") => rest,
        _ => part,
    }
}

/// The words and signs of an SQL text; `None` if a quote or a comment has no end.
fn tokens(sql: &str) -> Option<Vec<&str>> {
    let (mut tokens, mut rest) = (Vec::new(), sql.trim_start());
    while let Some(first) = rest.chars().next() {
        let word = |sign: char| sign.is_alphanumeric() || sign == '_' || sign == '$' || !sign.is_ascii();
        let length = match first {
            '-' if rest.starts_with("--") => {
                rest = rest.split_once('\n').map_or("", |(_, after)| after).trim_start();
                continue;
            }
            '/' if rest.starts_with("/*") => {
                rest = rest.split_once("*/").map(|(_, after)| after)?.trim_start();
                continue;
            }
            '\'' | '"' | '`' => quoted_length(rest, first)?,
            '[' => rest.find(']')? + 1,
            sign if word(sign) || sign == '.' => {
                rest.find(|sign: char| !word(sign) && sign != '.').unwrap_or(rest.len())
            }
            '|' | '<' | '>' | '=' | '!' | '-' => {
                rest.find(|sign: char| !"|<>=!-".contains(sign)).unwrap_or(rest.len())
            }
            sign => sign.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    Some(tokens)
}

/// How long a quoted text is, with its quotes. A doubled quote does not end it.
fn quoted_length(text: &str, quote: char) -> Option<usize> {
    let mut signs = text.char_indices().skip(1).peekable();
    while let Some((at, sign)) = signs.next() {
        if sign == quote && signs.next_if(|(_, next)| *next == quote).is_none() {
            return Some(at + 1);
        }
    }
    None
}

fn unquoted(token: &str) -> String {
    let inner = |open: char, close: char| token.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
    match (inner('"', '"'), inner('`', '`'), inner('[', ']')) {
        (Some(name), ..) => name.replace("\"\"", "\""),
        (_, Some(name), _) => name.replace("``", "`"),
        (.., Some(name)) => name.to_owned(),
        (None, None, None) => token.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::IndexText;

    fn check(sql: &str, parts: &[&str], rows: Option<&str>) {
        let text = IndexText::read(sql);
        let read = text
            .as_ref()
            .map(|text| (text.parts.iter().map(String::as_str).collect::<Vec<_>>(), text.rows.as_deref()));
        assert_eq!(read, Some((parts.to_vec(), rows)), "{sql}");
    }

    #[test]
    fn the_text_of_an_index_is_split_into_its_parts_and_its_rows() {
        check("CREATE UNIQUE INDEX u ON t(lower(a))", &["lower ( a )"], None);
        check(
            "CREATE UNIQUE INDEX u ON t (a DESC, \"b,(c\" COLLATE NOCASE)",
            &["a", "\"b,(c\" COLLATE NOCASE"],
            None,
        );
        check("create unique index u on t(a)where a is not null", &["a"], Some("a is not null"));
        check(
            "CREATE UNIQUE INDEX u ON t(a || ')') WHERE b <> 'x)' /* c */ -- d",
            &["a || ')'"],
            Some("b <> 'x)'"),
        );
        check("CREATE UNIQUE INDEX u ON t(ifnull(a, 'it''s'), b)", &["ifnull ( a , 'it''s' )", "b"], None);
        check("CREATE UNIQUE INDEX u ON t(a->>'$.x', 1.5)", &["a ->> '$.x'", "1.5"], None);
        assert_eq!(IndexText::read("CREATE UNIQUE INDEX u ON t(a"), None);
        assert_eq!(IndexText::read("CREATE UNIQUE INDEX u ON t('a"), None);
    }
}
