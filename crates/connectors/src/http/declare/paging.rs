//! How listings are cut into pages, as declared.

use schemars::JsonSchema;
use serde::Deserialize;

/// How listings are cut into pages.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(tag = "style", rename_all = "snake_case", deny_unknown_fields)]
pub enum Paging {
    /// By the page's number: `page={page}&per_page={limit}`.
    #[schemars(extend("examples" = [{ "style": "page", "total_pages": "/total_pages" }]))]
    Page {
        /// The number of the first page.
        #[serde(default = "one")]
        #[schemars(example = 0)]
        first: u64,
        /// The JSON pointer of the number of pages; without it an empty page ends the listing.
        #[serde(default)]
        #[schemars(example = &"/total_pages")]
        total_pages: Option<String>,
    },
    /// By offset: `offset={offset}&limit={limit}`.
    #[schemars(extend("examples" = [{ "style": "offset" }]))]
    Offset {},
    /// By a cursor that each page gives: `cursor={cursor}&limit={limit}`.
    #[schemars(extend("examples" = [{ "style": "cursor", "next": "/next_cursor" }]))]
    Cursor {
        /// The JSON pointer of the next cursor; nothing there ends the listing.
        #[schemars(example = &"/next_cursor")]
        next: String,
    },
    /// By a link to the next page, from the `Link` header or the body.
    #[schemars(extend("examples" = [{ "style": "link" }]))]
    Link {
        /// The JSON pointer of the link, if it is in the body.
        #[serde(default)]
        #[schemars(example = &"/links/next")]
        next: Option<String>,
    },
    /// By the last id of the page before: `after={after_id}&limit={limit}`. The listing must be in order of id.
    #[schemars(extend("examples" = [{ "style": "after_id" }]))]
    AfterId {},
    /// Everything at once, without pages.
    #[schemars(extend("examples" = [{ "style": "none" }]))]
    None {},
}

impl Default for Paging {
    fn default() -> Self {
        Paging::Page { first: one(), total_pages: None }
    }
}

fn one() -> u64 {
    1
}
