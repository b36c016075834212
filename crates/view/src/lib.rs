//! What is shown, as one struct for each thing: what `--json` prints, what a route of the API answers, and what a page
//! renders.
//!
//! In here: the structs, how they are read from a store ([`Reader`], [`status`]), and what people decide ([`Decide`]; at a
//! store of one's own [`Desk`] does it, beside a daemon the server's client). Never in here: a concrete store or connector,
//! HTTP, and how a terminal shows anything. [`page`] and [`picture`] are what reports and pages are drawn with. Shapes that core and engine make already are passed on, not made a second
//! time.

mod desk;
mod key;
pub mod page;
pub mod picture;
mod quarantine;
mod reader;
mod refusal;
mod review;
mod status;
mod stop;
mod timeline;
mod why;

pub use avowal_core::explain::{
    ContentState, CopyView, FieldCopy, FieldView, Propagation, PropagationStatus, RecordView, SetAside, Why,
};
pub use avowal_engine::ports::store::{OpenReview, QuarantineItem, Stop};
pub use avowal_engine::{Plan, SyncReport, Undelivered};
pub use desk::{Decide, Desk, SyncRequest};
pub use key::value_of;
pub use quarantine::{QuarantineLine, RefusedReplay, ReplayRequest, Replayed, plain};
pub use reader::{Policies, Reader};
pub use refusal::{Refusal, RefusalKind};
pub use review::{Answer, AnswerRequest, Resolved, ReviewView};
pub use status::{AskedSystem, Lag, Status, status};
pub use stop::{
    Approved, PauseRequest, ResumeRequest, SystemView, approve, pause, pause_all, resume_all, resume_stops,
    told,
};
pub use timeline::TimelinePage;
pub use why::{Unbelieved, WhyAnswer, WhyView};

/// The most delayed writes that an answer is drawn from.
pub const LOOKED_AT_MAX: usize = 100_000;
