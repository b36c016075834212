//! The open questions for a person.

use super::column;
use super::connection::Link;
use super::encode::{PreparedCommit, RecordRow};
use super::error::Fault;
use super::facts::Facts;
use super::statements::{Step, by_key, columns, remove_by_record};
use crate::codec;
use avowal_core::data::ids::{EntityName, RecordId};
use avowal_core::record::Subject;
use avowal_engine::ports::store::OpenReview;

const DROP_REVIEWS: &str = "DELETE FROM reviews v
    USING unnest($1::smallint[], $2::text[], $3::text[]) AS k (bucket, record_id, field)
    WHERE v.bucket = k.bucket AND v.record_id = k.record_id AND v.field = k.field";

const PUT_REVIEWS: &str = "INSERT INTO reviews AS v (bucket, record_id, field, entity, opened_at, review)
    SELECT * FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[])
    ON CONFLICT (bucket, record_id, field) DO UPDATE SET opened_at = excluded.opened_at, review = excluded.review
    WHERE v.review IS DISTINCT FROM excluded.review";

/// The statements of this file that a commit sends, to be prepared before.
pub(super) const STATEMENTS: &[&str] = &[DROP_REVIEWS, PUT_REVIEWS];

/// The open questions, oldest first.
pub(super) async fn all_open(link: &Link, limit: usize) -> Result<Vec<OpenReview>, Fault> {
    const OPEN: &str = "SELECT v.entity, v.record_id, v.field, v.review FROM reviews v
        ORDER BY v.opened_at, v.record_id, v.field LIMIT $1";
    let rows = link.query(OPEN, &[&column::limit(limit)]).await?;
    rows.iter()
        .map(|row| {
            let record: String = row.try_get(1)?;
            let field = column::from_text(row.try_get(2)?);
            let review =
                codec::from_json(row.try_get(3)?, || format!("reviews row {record}, {field}, review"))?;
            Ok(OpenReview {
                entity: EntityName::from(row.try_get::<_, String>(0)?),
                record: RecordId::from(record),
                subject: Subject::from(field),
                review,
            })
        })
        .collect()
}

pub(super) fn write(commits: &[&PreparedCommit], facts: &Facts, steps: &mut Vec<Step>) {
    type Gone<'a> = (&'a str, &'a str);
    type Row<'a> = (&'a str, &'a RecordRow, &'a str, &'a super::encode::ReviewRow);
    let (mut gone, mut put): (Vec<Gone<'_>>, Vec<Row<'_>>) = Default::default();
    for (id, row, stored) in by_key(commits, facts) {
        let before = stored.into_iter().flat_map(|stored| &stored.reviews);
        let left = before.filter(|field| !row.reviews.contains_key(*field));
        gone.extend(left.map(|field| (id, field.as_str())));
        put.extend(row.reviews.iter().map(|(field, review)| (id, row, field.as_str(), review)));
    }
    remove_by_record(DROP_REVIEWS, &gone, steps);
    if !put.is_empty() {
        let params = columns!(put;
            buckets: i16 = |row: &Row<'_>| i16::from(row.1.bucket.number()),
            records: String = |row: &Row<'_>| row.0.to_owned(),
            fields: String = |row: &Row<'_>| row.2.to_owned(),
            entities: String = |row: &Row<'_>| row.1.entity.as_str().to_owned(),
            times: i64 = |row: &Row<'_>| row.3.opened_at,
            reviews: String = |row: &Row<'_>| row.3.review.clone(),
        );
        steps.push(Step::any(PUT_REVIEWS, params));
    }
}
