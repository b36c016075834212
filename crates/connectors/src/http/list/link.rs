//! Links to the next page, from the header of an answer.

use crate::http::answer::reply::Reply;

/// The target of `rel="next"` in a `Link` header (RFC 8288).
pub(crate) fn link_header(reply: &Reply) -> Option<String> {
    reply.header("link")?.split(',').find_map(|link| {
        let (target, attributes) = link.split_once(';')?;
        let next = attributes.split(';').any(|a| matches!(a.trim(), "rel=\"next\"" | "rel=next"));
        let target = target.trim().strip_prefix('<')?.strip_suffix('>')?;
        next.then(|| target.to_owned())
    })
}
