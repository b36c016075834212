//! The function that our triggers call: it records what a statement changed and never fails the statement.
//!
//! Before it names a column it asks the catalogue whether table, columns and rights are still what it was made for.
//! If not, and also where the transaction's snapshot may be older than the catalogue, it runs within a subtransaction
//! and catches what is undefined or not permitted. Then it records only which rows must be looked at, or, where even
//! their ids cannot be told, that everything must be listed again.

use super::image::{differs_sql, id_sql, image_sql};
use super::table::{Table, TableColumn, literal};
use avowal_core::data::ids::EntityName;
use avowal_core::data::value::Digest;
use avowal_engine::ports::connector::{Binding, Installation};
use std::collections::BTreeMap;

/// A statement over few changed rows keeps its plan, which must find them by their index: made while the table was small it
/// would go on reading the whole of it. One over many is planned for what it has; a plan made for one row would compare
/// every old row with every new one.
const FEW_ROWS: usize = 50;

/// The longest piece of an entity's name in a name of ours; Postgres cuts names at 63 bytes.
const SLUG_BYTES_MAX: usize = 24;

/// The statements that a table's triggers see.
pub(super) const EVENTS: [&str; 4] = ["insert", "update", "delete", "truncate"];

/// The name of the trigger that sees the rows which logical replication applies, in the place of an event's.
pub(super) const APPLIED: &str = "applied";

/// The operation of a log row that only says which row must be looked at.
pub(super) const UNKNOWN: &str = "unknown";

/// The operation of a log row that says that a change could not be recorded at all.
pub(super) const LOST: &str = "lost";

/// The operation of a log row that an installation wrote, so that each log has a first row.
pub(super) const INSTALLED: &str = "installed";

/// What the function survives: a table, column, function or type that is gone or another, and a right that was taken away.
/// Everything else is not ours to hide.
const SURVIVED: &str = "undefined_column OR undefined_table OR undefined_function OR undefined_object \
    OR undefined_parameter OR invalid_schema_name OR insufficient_privilege OR datatype_mismatch OR wrong_object_type \
    OR cannot_coerce OR indeterminate_datatype OR invalid_column_reference";

/// Names a trigger of an entity.
pub(super) fn trigger_name(installation: &Installation, binding: &Binding, event: &str) -> String {
    format!("avowal_{installation}_{}_{event}", slug(&binding.entity))
}

/// The function's name within our schema.
pub(super) fn function_name(entity: &EntityName) -> String {
    format!("capture_{}", slug(entity))
}

fn slug(entity: &EntityName) -> String {
    let entity = entity.as_str();
    match entity.len() <= SLUG_BYTES_MAX {
        true => entity.to_owned(),
        false => Digest::of(entity.as_bytes()).short(),
    }
}

/// What the triggers of an entity are made of, as a digest: another one means that they are outdated. It includes the
/// database, because positions of the feed mean nothing in another. Which tables are members is kept beside it.
pub(super) fn definition(binding: &Binding, table: &Table) -> String {
    let numbers: Vec<_> = table.columns.iter().map(|column| column.number.to_string()).collect();
    let text =
        format!("{}\n{}\n{}\n{}", body(binding, table, &[]), table.database, table.oid, numbers.join(","));
    Digest::of(text.as_bytes()).to_string()
}

/// The function's definition, as SQL. It runs with our rights, so that the application's role needs none on the log,
/// and with settings of its own, so that values print the same in every session.
pub(super) fn function_sql(binding: &Binding, table: &Table) -> String {
    format!(
        "CREATE FUNCTION {}.{}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER \
         SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO' SET row_security = off \
         SET intervalstyle = 'iso_8601' SET bytea_output = 'hex' SET extra_float_digits = 1 SET enable_seqscan = off AS {};\n",
        table.ours,
        super::table::quote(&function_name(&binding.entity)),
        literal(&body(binding, table, &table.member_oids()))
    )
}

fn body(binding: &Binding, table: &Table, members: &[u32]) -> String {
    let log = Log { entity: literal(binding.entity.as_str()), table };
    let oids: Vec<_> = members.iter().map(u32::to_string).collect();
    format!(
        "DECLARE logged bigint := 0; counted bigint; few boolean; BEGIN\n\
         IF tg_relid <> ALL ('{{{}}}'::oid[]) THEN RETURN NULL; END IF;\n\
         IF current_setting('transaction_isolation') = 'read committed' AND {} THEN\n{recorded}\
         ELSE\nBEGIN\n{recorded}EXCEPTION WHEN {SURVIVED} THEN\n\
         BEGIN\n{}EXCEPTION WHEN {SURVIVED} THEN NULL;\nEND;\nEND;\nEND IF;\n\
         IF logged > 0 AND current_setting('max_prepared_transactions') = '0' THEN PERFORM pg_notify('avowal', {}); END IF;\n\
         RETURN NULL; END",
        oids.join(","),
        fits_sql(table, "tg_relid"),
        log.marked(),
        log.entity,
        recorded = log.recorded(),
    )
}

/// The test that a member, given by its oid, still is what the function and our statements were made for: the mapped table
/// by its name, the member's columns by name and type, our right to read them, and our log.
fn fits_sql(table: &Table, oid: &str) -> String {
    let mapped = table.oid;
    format!(
        "{} AND has_table_privilege({oid}, 'SELECT') AND NOT row_security_active({oid}) \
         AND {} AND has_table_privilege({mapped}, 'SELECT') AND (SELECT has_schema_privilege(c.relnamespace, 'USAGE') \
            FROM pg_catalog.pg_class c WHERE c.oid = {mapped}) \
         AND EXISTS (SELECT 1 FROM pg_catalog.pg_class l JOIN pg_catalog.pg_namespace m ON m.oid = l.relnamespace \
            WHERE m.nspname = {} AND l.relname = 'log')",
        columns_sql(table, oid),
        named_sql(table),
        literal(&table.ours),
    )
}

/// The test that the mapped table still has its name.
pub(super) fn named_sql(table: &Table) -> String {
    format!(
        "EXISTS (SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace \
         WHERE c.oid = {} AND c.relname = {} AND s.nspname = {})",
        table.oid,
        literal(&table.name),
        literal(&table.schema),
    )
}

/// The test that the mapped columns of a member, given by its oid, still have their names and types.
fn columns_sql(table: &Table, oid: &str) -> String {
    let test = |column: &TableColumn| {
        format!("a.attname = {} AND a.atttypid = {}", literal(&column.name), column.type_oid)
    };
    columns_where_sql(table, oid, test)
}

/// The test that the columns of the mapped table are the very ones that it had, not others of their names.
pub(super) fn same_columns_sql(table: &Table) -> String {
    let test = |column: &TableColumn| {
        let TableColumn { number, type_oid, .. } = column;
        format!("a.attname = {} AND a.atttypid = {type_oid} AND a.attnum = {number}", literal(&column.name))
    };
    columns_where_sql(table, &table.oid.to_string(), test)
}

fn columns_where_sql(table: &Table, oid: &str, test: impl Fn(&TableColumn) -> String) -> String {
    let columns: BTreeMap<_, _> =
        table.columns.iter().chain([&table.id]).map(|column| (&column.name, column)).collect();
    let tests: Vec<_> = columns.values().map(|column| format!("({})", test(column))).collect();
    format!(
        "(SELECT count(*) = {} FROM pg_catalog.pg_attribute a WHERE a.attrelid = {oid} AND a.attnum > 0 \
         AND ({}))",
        columns.len(),
        tests.join(" OR ")
    )
}

/// The log as one entity's function writes it.
struct Log<'a> {
    /// The entity's name, quoted.
    entity: String,
    table: &'a Table,
}

const ORIGIN: &str = "nullif(current_setting('avowal.origin', true), '')";

impl Log<'_> {
    fn into(&self) -> String {
        format!("INSERT INTO {}.log (entity, remote_id, operation, image, origin)", self.table.ours)
    }

    /// What the function does while everything is as it was made for.
    fn recorded(&self) -> String {
        let same = self.table.same_id(&self.table.id_of("n"), &self.table.id_of("o"));
        let count = |rows| format!("few := (SELECT count(*) <= {FEW_ROWS} FROM {rows});\n");
        format!(
            "IF tg_level = 'ROW' THEN\n{}\
             ELSIF tg_op = 'INSERT' THEN\n{}{}\
             ELSIF tg_op = 'UPDATE' THEN\n{}{}{}{}\
             ELSIF tg_op = 'DELETE' THEN\n{}{}\
             ELSE\n{}END IF;\n",
            self.applied(),
            count("new_rows"),
            planned(&self.inserted("true")),
            count("new_rows"),
            planned(&self.gone(&format!("NOT EXISTS (SELECT 1 FROM new_rows n WHERE {same})"))),
            planned(&self.updated()),
            planned(&self.inserted(&format!("NOT EXISTS (SELECT 1 FROM old_rows o WHERE {same})"))),
            count("old_rows"),
            planned(&self.gone("true")),
            self.truncated(),
        )
    }

    /// Inserted rows, as they stand now. Not as `new_rows` shows them: a trigger of the application may have
    /// changed them again already, and its log row would then come before this one.
    fn inserted(&self, only: &str) -> String {
        format!(
            "{} SELECT {}, {}, 'insert', {}, {ORIGIN} FROM new_rows n JOIN {} t ON {} WHERE {only}",
            self.into(),
            self.entity,
            id_sql(self.table, "t"),
            image_sql(self.table, "t"),
            self.table.sql,
            self.table.same_id(&self.table.id_of("t"), &self.table.id_of("n")),
        )
    }

    /// Updated rows in which a mapped column changed, as they stand now.
    fn updated(&self) -> String {
        format!(
            "{} SELECT {}, {}, 'update', {}, {ORIGIN} FROM old_rows o JOIN new_rows n ON {} JOIN {} t ON {} WHERE {}",
            self.into(),
            self.entity,
            id_sql(self.table, "t"),
            image_sql(self.table, "t"),
            self.table.same_id(&self.table.id_of("n"), &self.table.id_of("o")),
            self.table.sql,
            self.table.same_id(&self.table.id_of("t"), &self.table.id_of("n")),
            differs_sql(self.table, "o", "n"),
        )
    }

    /// Deleted rows, unless a trigger of the application has put them back.
    fn gone(&self, only: &str) -> String {
        format!(
            "{} SELECT {}, {}, 'delete', NULL, {ORIGIN} FROM old_rows o WHERE {} IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM {} t WHERE {}) AND {only}",
            self.into(),
            self.entity,
            id_sql(self.table, "o"),
            self.table.id_of("o"),
            self.table.sql,
            self.table.same_id(&self.table.id_of("t"), &self.table.id_of("o")),
        )
    }

    /// The rows of the one table that is about to be emptied; each member's own trigger records its own.
    fn truncated(&self) -> String {
        let sql = format!(
            "{} SELECT {}, {}, 'delete', NULL, {ORIGIN} FROM ONLY %I.%I t WHERE {} IS NOT NULL",
            self.into(),
            self.entity.replace('%', "%%"),
            id_sql(self.table, "t").replace('%', "%%"),
            self.table.id_of("t").replace('%', "%%"),
        );
        format!(
            "EXECUTE format({}, tg_table_schema, tg_table_name); GET DIAGNOSTICS logged = ROW_COUNT;\n",
            literal(&sql)
        )
    }

    /// One row that logical replication applied, for which no statement's trigger fires.
    fn applied(&self) -> String {
        let into = self.into();
        let (table, entity) = (self.table, &self.entity);
        format!(
            "IF tg_op = 'INSERT' THEN {into} SELECT {entity}, {new}, 'insert', {image}, {ORIGIN}; logged := 1;\n\
             ELSIF tg_op = 'DELETE' THEN {into} SELECT {entity}, {old}, 'delete', NULL, {ORIGIN}; logged := 1;\n\
             ELSIF {old} IS DISTINCT FROM {new} THEN\n\
             {into} VALUES ({entity}, {old}, 'delete', NULL, {ORIGIN}), ({entity}, {new}, 'insert', {image}, {ORIGIN});\n\
             logged := 2;\n\
             ELSIF {differs} THEN {into} SELECT {entity}, {new}, 'update', {image}, {ORIGIN}; logged := 1;\n\
             END IF;\n",
            new = id_sql(table, "NEW"),
            old = id_sql(table, "OLD"),
            image = image_sql(table, "NEW"),
            differs = differs_sql(table, "OLD", "NEW"),
        )
    }

    /// Rows whose contents could not be recorded, found by name at run time; else the mark that something is missing.
    fn marked(&self) -> String {
        let id = literal(&self.table.id.name);
        let row = |alias: &str| {
            format!(
                "{} SELECT {}, to_jsonb({alias}) ->> {id}, '{UNKNOWN}', NULL, {ORIGIN}",
                self.into(),
                self.entity
            )
        };
        let known = |alias: &str| format!("(to_jsonb({alias}) ->> {id}) IS NOT NULL");
        let rows = |alias: &str, from: &str| {
            format!(
                "{} FROM {from} {alias} WHERE {};\nGET DIAGNOSTICS counted = ROW_COUNT; logged := logged + counted;\n\
                 IF counted = 0 AND EXISTS (SELECT 1 FROM {from}) THEN {} END IF;\n",
                row(alias),
                known(alias),
                self.lost()
            )
        };
        let one = |alias: &str| {
            format!(
                "{} WHERE {}; GET DIAGNOSTICS counted = ROW_COUNT; logged := logged + counted;\n\
                 IF counted = 0 THEN {} END IF;\n",
                row(alias),
                known(alias),
                self.lost()
            )
        };
        format!(
            "logged := 0;\nIF tg_op = 'TRUNCATE' THEN {}\n\
             ELSIF tg_level = 'ROW' THEN\nIF tg_op <> 'INSERT' THEN\n{}END IF;\nIF tg_op <> 'DELETE' THEN\n{}END IF;\n\
             ELSE\nIF tg_op <> 'INSERT' THEN\n{}END IF;\nIF tg_op <> 'DELETE' THEN\n{}END IF;\nEND IF;\n",
            self.lost(),
            one("OLD"),
            one("NEW"),
            rows("o", "old_rows"),
            rows("n", "new_rows"),
        )
    }

    fn lost(&self) -> String {
        format!("{} VALUES ({}, '', '{LOST}', NULL, NULL); logged := logged + 1;", self.into(), self.entity)
    }
}

fn planned(sql: &str) -> String {
    format!(
        "IF few THEN {sql}; ELSE PERFORM set_config('enable_seqscan', 'on', true); EXECUTE {}; END IF;\n\
         GET DIAGNOSTICS counted = ROW_COUNT; logged := logged + counted;\n",
        literal(sql)
    )
}
