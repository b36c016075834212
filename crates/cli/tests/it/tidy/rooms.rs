//! Who imports whom inside a crate. Re-exports of a room are followed to the file that holds the name.

use super::source::{Source, product_sources};
use std::collections::{BTreeMap, BTreeSet};

/// The rooms of a house in their order: each knows only those before it. A house is a crate's `src`, or a folder in it.
const ROOMS: [(&str, &[&str]); 3] = [
    ("core/src", &["data", "record", "policy", "history", "outgoing", "decide", "explain"]),
    ("engine/src", &["ports", "parts", "inbound", "outbound", "reconcile", "run", "plan"]),
    ("connectors/src/http", &["declare", "answer", "auth", "call", "list", "read", "write"]),
];

/// Imports that go from a room to a later one.
pub(super) fn arrows_up() -> Vec<String> {
    let mut found = Vec::new();
    for (house, rooms) in ROOMS {
        let place = |room: &str| rooms.iter().position(|known| *known == room);
        let folder = format!("crates/{house}/");
        // What stands before a room in the path of a module of this house.
        let above = module_of(&format!("{folder}mod.rs"));
        for source in product_sources().iter().filter(|source| source.path.starts_with(&folder)) {
            let Some(own) = room_of(source, &folder) else { continue };
            let Some(own_place) = place(&own) else {
                found.push(format!("{} is in a room without a place in the order", source.path));
                continue;
            };
            for path in paths(source) {
                let inside = path.strip_prefix(above.as_slice());
                let room = inside.and_then(|inside| inside.first()).cloned().unwrap_or_default();
                if place(&room).is_some_and(|place| place > own_place) {
                    found.push(format!("{} ({own}) knows {}", source.path, path.join("::")));
                }
            }
        }
    }
    found.dedup();
    found
}

/// Files of a crate with rooms that reach each other, other than a folder's `mod.rs` and the files in that folder.
pub(super) fn circles() -> Vec<String> {
    let all = product_sources();
    let mut crates: BTreeMap<String, Vec<&Source>> = BTreeMap::new();
    let in_a_house = |source: &&Source| {
        ROOMS.iter().any(|(house, _)| source.path.starts_with(&format!("crates/{house}/")))
    };
    for source in all.iter().filter(in_a_house) {
        crates.entry(source.path.split('/').nth(1).unwrap().to_owned()).or_default().push(source);
    }
    let mut found = Vec::new();
    for sources in crates.values() {
        let graph = graph(sources);
        for start in graph.keys() {
            if let Some(circle) = circle_through(&graph, start) {
                found.push(circle.join(" -> "));
            }
        }
    }
    found
}

type Graph = BTreeMap<String, BTreeSet<String>>;

fn graph(sources: &[&Source]) -> Graph {
    let modules: BTreeMap<Vec<String>, &str> =
        sources.iter().map(|source| (module_of(&source.path), source.path.as_str())).collect();
    let exports: BTreeMap<Vec<String>, BTreeMap<String, Vec<String>>> =
        sources.iter().map(|source| (module_of(&source.path), re_exports(source))).collect();
    let mut graph = Graph::new();
    for source in sources {
        let to = paths(source).into_iter().filter_map(|path| file_of(&modules, &exports, &path));
        let to = to
            .filter(|to| *to != source.path && !is_parent(to, &source.path) && !is_parent(&source.path, to));
        graph.insert(source.path.clone(), to.collect());
    }
    graph
}

/// The shortest way from a file back to itself, told once: by its first file in the order of names.
fn circle_through(graph: &Graph, start: &str) -> Option<Vec<String>> {
    let mut ways: Vec<Vec<String>> = vec![vec![start.to_owned()]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in graph.get(way.last()?).into_iter().flatten() {
                if next == start {
                    let is_first = way.iter().all(|file| file.as_str() >= start);
                    return is_first.then(|| way.iter().cloned().chain([next.clone()]).collect());
                }
                if seen.insert(next.clone()) {
                    longer.push(way.iter().cloned().chain([next.clone()]).collect());
                }
            }
        }
        ways = longer;
    }
    None
}

/// Whether `parent` is the `mod.rs` (or `lib.rs`) above `child`, at any height.
fn is_parent(parent: &str, child: &str) -> bool {
    let (parent, child) = (module_of(parent), module_of(child));
    parent.len() < child.len() && child.starts_with(&parent)
}

/// `crates/core/src/data/value.rs` is the module `data::value`.
fn module_of(path: &str) -> Vec<String> {
    let inside = path.split_once("/src/").unwrap().1.trim_end_matches(".rs");
    let names = inside.split('/').filter(|name| !["mod", "lib", "main"].contains(name));
    names.map(str::to_owned).collect()
}

fn room_of(source: &Source, folder: &str) -> Option<String> {
    let (room, _) = source.path.strip_prefix(folder)?.split_once('/')?;
    Some(room.to_owned())
}

/// The file that holds what a path names.
fn file_of(
    modules: &BTreeMap<Vec<String>, &str>,
    exports: &BTreeMap<Vec<String>, BTreeMap<String, Vec<String>>>,
    path: &[String],
) -> Option<String> {
    let held = (0..=path.len()).rev().find(|length| modules.contains_key(&path[..*length]))?;
    let module = &path[..held];
    let Some(name) = path.get(held) else { return modules.get(module).map(|file| (*file).to_owned()) };
    let target = exports.get(module).and_then(|names| names.get(name));
    match target.filter(|target| target.as_slice() != module) {
        Some(target) => file_of(modules, exports, &[target.as_slice(), std::slice::from_ref(name)].concat()),
        None => modules.get(module).map(|file| (*file).to_owned()),
    }
}

/// The names that a file passes on, with the module that they come from.
fn re_exports(source: &Source) -> BTreeMap<String, Vec<String>> {
    let mut out = BTreeMap::new();
    for statement in statements(source).iter().filter(|statement| is_re_export(statement)) {
        let path = statement.split_once("use ").unwrap().1;
        for mut name in absolute(source, path) {
            if let Some(last) = name.pop() {
                out.insert(last, name);
            }
        }
    }
    out
}

fn is_re_export(statement: &str) -> bool {
    statement.starts_with("pub") && !statement.contains("use std::")
}

/// What the file imports from its own crate, as paths from the root of the crate.
fn paths(source: &Source) -> Vec<Vec<String>> {
    let mut out = Vec::new();
    for statement in statements(source).iter().filter(|statement| !is_re_export(statement)) {
        out.extend(absolute(source, statement.split_once("use ").unwrap().1));
    }
    for line in source.lines().filter(|line| !line.trim_start().starts_with("//") && !line.contains("use ")) {
        let mut rest = line;
        while let Some((_, after)) = rest.split_once("crate::") {
            let end = after.find(|sign: char| !sign.is_alphanumeric() && sign != '_' && sign != ':');
            let path = &after[..end.unwrap_or(after.len())];
            out.push(path.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect());
            rest = after;
        }
    }
    out
}

/// `use` statements in one line each, but for those of a test inside the file.
fn statements(source: &Source) -> Vec<String> {
    let mut out = Vec::new();
    let mut current: Option<String> = None;
    for line in source.lines().take_while(|line| *line != "#[cfg(test)]") {
        let line = line.trim();
        let begins = line.starts_with("use ")
            || (line.starts_with("pub") && line.contains(" use ") && line.contains("::"));
        if current.is_none() && begins {
            current = Some(String::new());
        }
        if let Some(text) = &mut current {
            text.push_str(line);
            if line.ends_with(';') {
                out.extend(current.take());
            }
        }
    }
    out
}

/// `history::{Body, event::Event}` as one path a name, from the root of the crate; nothing for other crates.
fn absolute(source: &Source, path: &str) -> Vec<Vec<String>> {
    let own = module_of(&source.path);
    let mut out = Vec::new();
    for name in flat(path.trim_end_matches(';').trim()) {
        let parts: Vec<&str> = name.split("::").filter(|part| *part != "self").collect();
        let mut base: Vec<String> = own.clone();
        let mut rest = parts.as_slice();
        match parts.first() {
            Some(&"crate") => (base, rest) = (Vec::new(), &parts[1..]),
            Some(&"super") => {
                while rest.first() == Some(&"super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            // A name without a root is a child of this module, if it is of this crate at all.
            Some(_) if name.starts_with(char::is_lowercase) && source.path.ends_with("mod.rs") => {}
            Some(_) if source.path.ends_with("lib.rs") => {}
            Some(_) | None => continue,
        }
        base.extend(rest.iter().map(|part| (*part).to_owned()));
        out.push(base);
    }
    out
}

/// `a::{b, c::{d, e}}` as `a::b`, `a::c::d`, `a::c::e`.
fn flat(path: &str) -> Vec<String> {
    let Some((before, inside)) = path.split_once('{') else {
        return vec![path.split(" as ").next().unwrap_or(path).trim().to_owned()];
    };
    let inside = inside.strip_suffix('}').unwrap_or(inside);
    let mut depth = 0;
    let mut names = vec![String::new()];
    for sign in inside.chars() {
        depth += i32::from(sign == '{') - i32::from(sign == '}');
        match sign {
            ',' if depth == 0 => names.push(String::new()),
            _ => names.last_mut().unwrap().push(sign),
        }
    }
    let full = names.iter().map(|name| name.trim()).filter(|name| !name.is_empty());
    full.flat_map(|name| flat(&format!("{before}{name}"))).collect()
}
