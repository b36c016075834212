//! Searching copies by the value of a field.

use super::one::ReadTrouble;
use crate::http::answer::fault::{declared_fault, envelope_fault};
use crate::http::answer::look::scalar_text;
use crate::http::answer::trouble::Trouble;
use crate::http::call::client::{Client, get};
use crate::http::declare::prepared::Object;
use avowal_engine::ports::connector::{Change, Fields, RemoteState};

/// The most copies that a search answers.
const FOUND_MAX: usize = 10;

/// The copies whose `fields` equal these, as far as the service's search shows them.
pub(crate) async fn find(
    client: &Client,
    object: &Object,
    fields: &Fields,
) -> Result<Vec<Change>, ReadTrouble> {
    let searchable = fields.iter().find_map(|(name, value)| Some((name, scalar_text(value)?)));
    let (Some(route), Some((name, value))) = (&object.find, searchable) else {
        return Ok(Vec::new());
    };
    let mut filling = object.filling();
    filling.extend([("field", name.clone()), ("value", value)]);
    filling.extend([("page", "1".to_owned()), ("limit", object.page_size.to_string())]);
    let trouble = |problem: String| ReadTrouble::None("search".to_owned(), Trouble::NotSent(problem));
    let url = route.address(&filling, |path| client.url(path)).map_err(trouble)?;
    let place = format!("GET {}", url.path());
    let reply = client.send(&get(url)).await.map_err(|trouble| ReadTrouble::None(place.clone(), trouble))?;
    if !reply.status.is_success() {
        return Err(ReadTrouble::Unfriendly(place, reply));
    }
    let fault = declared_fault(&reply, object.spec.failure.as_deref()).or_else(|| envelope_fault(&reply));
    if let Some(fault) = fault {
        return Err(ReadTrouble::Fault(place, fault));
    }
    let items = reply
        .items(object.spec.items.as_deref())
        .map_err(|problem| ReadTrouble::None(place, Trouble::Lost(problem)))?;
    let copies = items.iter().enumerate().map(|(n, raw)| object.change(raw.get(), None, n + 1));
    // A search may ignore a parameter that it does not know and show everything.
    Ok(copies.filter(|copy| carries(copy, fields)).take(FOUND_MAX).collect())
}

/// Whether a copy really has what was searched. Letter case and padding may differ: services compare texts in their own way.
fn carries(copy: &Change, fields: &Fields) -> bool {
    let RemoteState::Present(present) = &copy.shown else {
        return false;
    };
    fields.iter().all(|(name, wanted)| {
        let Some(held) = present.get(name) else { return false };
        match (scalar_text(held), scalar_text(wanted)) {
            (Some(held), Some(wanted)) => held.trim().to_lowercase() == wanted.trim().to_lowercase(),
            (None, None) => held == wanted,
            (Some(_), None) | (None, Some(_)) => false,
        }
    })
}
