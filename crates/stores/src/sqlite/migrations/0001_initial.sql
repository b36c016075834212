-- The history: one row an event, wire form v1. Everything below it can be rebuilt from it.
CREATE TABLE events (
    position    INTEGER PRIMARY KEY AUTOINCREMENT,
    record_id   TEXT    NOT NULL,
    seq         INTEGER NOT NULL,
    entity      TEXT    NOT NULL,
    type        TEXT    NOT NULL,
    source      TEXT,
    actor       TEXT,
    payload     TEXT    NOT NULL,
    vector      TEXT    NOT NULL,
    evidence    TEXT,
    policy      TEXT,
    correlation TEXT,
    cause       INTEGER,
    occurred_at TEXT,
    received_at TEXT    NOT NULL,
    recorded_at TEXT    NOT NULL,
    prev        TEXT    NOT NULL,
    hash        TEXT    NOT NULL,
    UNIQUE (record_id, seq)
) STRICT;

CREATE TRIGGER events_refuse_update BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'the history is append-only: events are never changed'); END;

CREATE TRIGGER events_refuse_delete BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'the history is append-only: events are never deleted'); END;

-- The state of each record, whole, as JSON: a change writes one row, and reading it is one look. `match_keys` lists the
-- keys under which it is found, so that a commit knows which rows to take back.
CREATE TABLE records (
    id         TEXT    NOT NULL PRIMARY KEY,
    entity     TEXT    NOT NULL,
    seq        INTEGER NOT NULL,
    living     INTEGER NOT NULL CHECK (living IN (0, 1)),
    match_keys TEXT    NOT NULL,
    state      TEXT    NOT NULL
) STRICT;
CREATE INDEX records_living ON records (entity) WHERE living = 1;

-- Which copy belongs to which record. `content` is the digest of the copy's mapped fields. A listing asks for every
-- copy in turn, so all that is asked for stands in the key's own tree.
CREATE TABLE links (
    system    TEXT    NOT NULL,
    entity    TEXT    NOT NULL,
    remote_id TEXT    NOT NULL,
    record_id TEXT    NOT NULL REFERENCES records (id),
    content   TEXT    NOT NULL,
    alive     INTEGER NOT NULL CHECK (alive IN (0, 1)),
    PRIMARY KEY (system, entity, remote_id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX links_record ON links (record_id, system);
CREATE INDEX links_living ON links (system, entity, record_id) WHERE alive = 1;

-- The schedule of what shall be written to each copy; its contents stand in the record's state.
CREATE TABLE intents (
    position   INTEGER PRIMARY KEY,
    record_id  TEXT    NOT NULL,
    system     TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    operation  TEXT    NOT NULL,
    status     TEXT    NOT NULL,
    attempt    INTEGER NOT NULL,
    not_before TEXT    NOT NULL,
    failures   INTEGER NOT NULL DEFAULT 0,
    last_error TEXT,
    UNIQUE (record_id, system)
) STRICT;
CREATE INDEX intents_due ON intents (system, not_before);
CREATE INDEX intents_delete ON intents (system) WHERE operation = 'delete';

-- Questions for a person; closed ones keep their answer.
CREATE TABLE reviews (
    record_id TEXT NOT NULL REFERENCES records (id),
    field     TEXT NOT NULL,
    id        TEXT NOT NULL,
    entity    TEXT NOT NULL,
    status    TEXT NOT NULL CHECK (status IN ('open', 'closed')),
    reason    TEXT NOT NULL,
    believed  TEXT,
    proposed  TEXT NOT NULL,
    opened_at TEXT NOT NULL,
    answer    TEXT,
    note      TEXT,
    closed_by TEXT,
    closed_at TEXT,
    PRIMARY KEY (record_id, field, id)
) STRICT;
CREATE INDEX reviews_open ON reviews (opened_at) WHERE status = 'open';

-- The keys under which an unlinked copy finds its record.
CREATE TABLE match_keys (
    record_id TEXT NOT NULL REFERENCES records (id),
    entity    TEXT NOT NULL,
    key       TEXT NOT NULL,
    PRIMARY KEY (record_id, entity, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX match_keys_found ON match_keys (entity, key);

-- What could not be understood or accepted, whole, with its reason. The same item again only counts up.
CREATE TABLE quarantine (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    system    TEXT    NOT NULL,
    entity    TEXT    NOT NULL,
    remote_id TEXT,
    record_id TEXT,
    reason    TEXT    NOT NULL,
    payload   TEXT    NOT NULL,
    at        TEXT    NOT NULL,
    times     INTEGER NOT NULL DEFAULT 1,
    status    TEXT    NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'closed'))
) STRICT;
CREATE INDEX quarantine_open ON quarantine (system, entity, remote_id) WHERE status = 'open';

-- Where each feed and listing stands. `state` says how far it is: `again` (the listing begins again), `after` (read up to
-- `position`, which is the connector's own cursor), `planning` (read to its end, the copies that are missing are being
-- planned) or `complete`.
CREATE TABLE cursors (
    system   TEXT NOT NULL,
    entity   TEXT NOT NULL,
    kind     TEXT NOT NULL CHECK (kind IN ('feed', 'listing')),
    state    TEXT NOT NULL CHECK (state IN ('again', 'after', 'planning', 'complete')),
    position TEXT CHECK ((position IS NOT NULL) = (state = 'after')),
    PRIMARY KEY (system, entity, kind)
) STRICT, WITHOUT ROWID;

-- Deliveries that have been taken, and how often each was repeated.
CREATE TABLE dedupe (
    system      TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    received_at TEXT    NOT NULL,
    repeats     INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (system, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX dedupe_oldest ON dedupe (received_at);

-- Copies that must be read.
CREATE TABLE signals (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    system      TEXT    NOT NULL,
    entity      TEXT    NOT NULL,
    remote_id   TEXT    NOT NULL,
    not_before  TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    received_at TEXT    NOT NULL,
    attempts    INTEGER NOT NULL
) STRICT;
CREATE INDEX signals_due ON signals (system, not_before);
CREATE INDEX signals_next ON signals (not_before);

-- What was last seen in each copy, field by field, for people to read.
CREATE VIEW shadows AS
SELECT records.id AS record_id, c.key AS system, c.value ->> 'remote_id' AS remote_id, f.key AS field,
       f.value ->> 'content' AS content, f.value -> 'base' AS base, f.value ->> 'wrote' AS wrote,
       c.value -> 'seen' AS seen, c.value -> 'sent' AS sent, c.value ->> 'changed_at' AS changed_at
FROM records, json_each(records.state, '$.copies') AS c, json_each(c.value, '$.fields') AS f;

-- What is held to be true of each record, field by field, for people to read.
CREATE VIEW beliefs AS
SELECT records.id AS record_id, records.entity, f.key AS field, f.value ->> 'value' AS value,
       f.value -> 'dot' AS dot, f.value ->> 'since' AS since
FROM records, json_each(records.state, '$.fields') AS f;

-- The ledger: what we wrote last, per record, direction and field. The history says it, so nothing is written for it.
CREATE VIEW sync_ledger AS
SELECT e.record_id AS record_key,
       (f.value ->> '$.base.system') || '->' || (e.payload ->> 'system') AS direction,
       f.key AS field,
       f.value ->> '$.base.system' AS source_system,
       e.payload ->> 'system' AS target_system,
       f.value ->> 'wrote' AS field_hash,
       e.payload ->> 'key' AS idempotency_key,
       e.recorded_at AS synced_at,
       max(e.seq) AS seq
FROM events AS e, json_each(e.payload, '$.fields') AS f
WHERE e.type = 'intent_confirmed'
GROUP BY record_key, direction, field;
