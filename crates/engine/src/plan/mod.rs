//! A plan: everything is read and decided as in a sync, on a copy of the store, and nothing is written to any system.
//!
//! Never in here: a decision of its own. What a plan says is what the engine of this program has planned on the copy.
//! Begin with `make.rs`, then `report.rs`, which is what people read.

mod make;
mod matches;
mod read_only;
mod report;
mod scratch;
mod set_aside;
mod writes;

pub use make::{PlanOptions, configuration, make_plan};
pub use read_only::Calls;
pub use report::{
    Duplicates, EntityWrites, Example, FieldWrites, LinkedBy, MatchReport, OpenQuestion, Plan, SetAside,
    SystemCalls, SystemMatches, SystemPlan,
};
pub use scratch::copy_store;
