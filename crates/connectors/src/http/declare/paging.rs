//! How listings are cut into pages, as declared.

use schemars::JsonSchema;
use serde::Deserialize;

/// How listings are cut into pages, and by which sign a service says that a listing ends.
///
/// A listing counts as whole only if its end was understood: an empty page, no next cursor or link, or a declared sign.
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
        /// The JSON pointer of the number of copies in all pages.
        #[serde(default)]
        #[schemars(example = &"/total")]
        total: Option<String>,
        /// The JSON pointer of a flag that is true where another page follows.
        #[serde(default)]
        #[schemars(example = &"/has_more")]
        more: Option<String>,
        /// The JSON pointer of a flag that is true on the last page.
        #[serde(default)]
        #[schemars(example = &"/is_last")]
        last: Option<String>,
        /// Whether a page with fewer copies than were asked for is the last. Declare it only if the service gives as many
        /// as it is asked for.
        #[serde(default)]
        #[schemars(example = true)]
        short_page_ends: bool,
    },
    /// By offset: `offset={offset}&limit={limit}`.
    #[schemars(extend("examples" = [{ "style": "offset", "total": "/total" }]))]
    Offset {
        /// The JSON pointer of the number of copies in all pages.
        #[serde(default)]
        #[schemars(example = &"/pageInfo/totalRows")]
        total: Option<String>,
        /// The JSON pointer of a flag that is true where another page follows.
        #[serde(default)]
        #[schemars(example = &"/has_more")]
        more: Option<String>,
        /// The JSON pointer of a flag that is true on the last page.
        #[serde(default)]
        #[schemars(example = &"/pageInfo/isLastPage")]
        last: Option<String>,
        /// Whether a page with fewer copies than were asked for is the last. Declare it only if the service gives as many
        /// as it is asked for.
        #[serde(default)]
        #[schemars(example = true)]
        short_page_ends: bool,
    },
    /// By a cursor that each page gives: `cursor={cursor}&limit={limit}`.
    #[schemars(extend("examples" = [{ "style": "cursor", "next": "/next_cursor" }]))]
    Cursor {
        /// The JSON pointer of the next cursor; nothing there ends the listing.
        #[schemars(example = &"/next_cursor")]
        next: String,
        /// The JSON pointer of a flag that is true where another page follows. Declare it where the last page has a cursor too.
        #[serde(default)]
        #[schemars(example = &"/has_more")]
        more: Option<String>,
        /// The JSON pointer of a flag that is true on the last page.
        #[serde(default)]
        #[schemars(example = &"/end_of_stream")]
        last: Option<String>,
    },
    /// By a link to the next page, from the `Link` header or the body.
    #[schemars(extend("examples" = [{ "style": "link" }]))]
    Link {
        /// The JSON pointer of the link, if it is in the body.
        #[serde(default)]
        #[schemars(example = &"/links/next")]
        next: Option<String>,
        /// The JSON pointer of a flag that is true where another page follows.
        #[serde(default)]
        #[schemars(example = &"/has_more")]
        more: Option<String>,
        /// The JSON pointer of a flag that is true on the last page.
        #[serde(default)]
        #[schemars(example = &"/is_last")]
        last: Option<String>,
    },
    /// By the last id of the page before: `after={after_id}&limit={limit}`. The listing must be in order of id.
    #[schemars(extend("examples" = [{ "style": "after_id", "more": "/has_more" }]))]
    AfterId {
        /// The JSON pointer of a flag that is true where another page follows.
        #[serde(default)]
        #[schemars(example = &"/has_more")]
        more: Option<String>,
        /// The JSON pointer of a flag that is true on the last page.
        #[serde(default)]
        #[schemars(example = &"/is_last")]
        last: Option<String>,
    },
    /// Everything at once, without pages.
    #[schemars(extend("examples" = [{ "style": "none" }]))]
    None {},
}

/// The declared signs by which a service says where a listing ends.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) struct Signs<'a> {
    pub(crate) total_pages: Option<&'a str>,
    pub(crate) total: Option<&'a str>,
    pub(crate) more: Option<&'a str>,
    pub(crate) last: Option<&'a str>,
    pub(crate) short_page_ends: bool,
}

impl Paging {
    /// The signs of the end that are declared.
    pub(crate) fn signs(&self) -> Signs<'_> {
        match self {
            Paging::Page { total_pages, total, more, last, short_page_ends, .. } => Signs {
                total_pages: total_pages.as_deref(),
                total: total.as_deref(),
                more: more.as_deref(),
                last: last.as_deref(),
                short_page_ends: *short_page_ends,
            },
            Paging::Offset { total, more, last, short_page_ends } => Signs {
                total_pages: None,
                total: total.as_deref(),
                more: more.as_deref(),
                last: last.as_deref(),
                short_page_ends: *short_page_ends,
            },
            Paging::Cursor { more, last, .. }
            | Paging::Link { more, last, .. }
            | Paging::AfterId { more, last } => {
                Signs { more: more.as_deref(), last: last.as_deref(), ..Signs::default() }
            }
            Paging::None {} => Signs::default(),
        }
    }
}

impl Default for Paging {
    fn default() -> Self {
        Paging::Page {
            first: one(),
            total_pages: None,
            total: None,
            more: None,
            last: None,
            short_page_ends: false,
        }
    }
}

fn one() -> u64 {
    1
}
