//! One call: its method, path and query, compiled from the declaration.

use super::fault::wrong;
use super::paging::Paging;
use super::template::{Filling, NAMES, Template};
use avowal_engine::ports::connector::ConnectorError;
use reqwest::{Method, Url};
use std::collections::BTreeMap;

/// A call: method, path and query.
pub(crate) struct Route {
    pub(crate) method: Method,
    path: Template,
    query: Vec<(Template, Template)>,
}

impl Route {
    /// Compiles a call; `defaults` are added where the query does not mention their place.
    pub(crate) fn new(
        whose: &str,
        method: &str,
        path: &str,
        query: &BTreeMap<String, String>,
        defaults: &[(&str, &str)],
    ) -> Result<Self, ConnectorError> {
        let compile = |text: &str| Template::parse(text).map_err(|problem| wrong(whose, &problem));
        let method = match method.to_ascii_uppercase().as_str() {
            "GET" => Method::GET,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            "DELETE" => Method::DELETE,
            other => return Err(wrong(whose, &format!("{other:?} is not POST, PUT, PATCH or DELETE"))),
        };
        if !path.starts_with('/') {
            return Err(wrong(whose, &format!("the path {path:?} does not begin with `/`")));
        }
        let mut pairs = Vec::new();
        for (name, value) in query {
            pairs.push((compile(name)?, compile(value)?));
        }
        for (name, value) in defaults {
            let value = compile(value)?;
            let covered = NAMES
                .iter()
                .any(|place| value.mentions(place) && pairs.iter().any(|(_, had)| had.mentions(place)));
            if !covered {
                pairs.push((compile(name)?, value));
            }
        }
        Ok(Self { method, path: compile(path)?, query: pairs })
    }

    /// The path and the query's pairs. A pair whose value is missing is left out; a path's must be there.
    pub(crate) fn address(
        &self,
        filling: &Filling,
        resolve: impl Fn(&str) -> Result<Url, String>,
    ) -> Result<Url, String> {
        let path = self.path.path(filling).ok_or("an id does not fit into the path")?;
        let mut url = resolve(&path)?;
        let pairs: Vec<_> = self
            .query
            .iter()
            .filter_map(|(name, value)| Some((name.plain(filling)?, value.plain(filling)?)))
            .collect();
        if !pairs.is_empty() {
            url.query_pairs_mut().extend_pairs(pairs);
        }
        Ok(url)
    }
}

/// The query by which the pages are asked for, unless declared.
pub(crate) fn page_query(paging: &Paging) -> Vec<(&'static str, &'static str)> {
    match paging {
        Paging::Page { .. } => vec![("page", "{page}"), ("per_page", "{limit}")],
        Paging::Offset { .. } => vec![("offset", "{offset}"), ("limit", "{limit}")],
        Paging::Cursor { .. } => vec![("cursor", "{cursor}"), ("limit", "{limit}")],
        Paging::Link { .. } => vec![("per_page", "{limit}")],
        Paging::AfterId { .. } => vec![("after", "{after_id}"), ("limit", "{limit}")],
        Paging::None {} => Vec::new(),
    }
}
