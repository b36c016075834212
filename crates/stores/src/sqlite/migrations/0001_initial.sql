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

-- What we believe of each record. `fields`, `held` and `deleted` are JSON.
CREATE TABLE records (
    id      TEXT    NOT NULL PRIMARY KEY,
    entity  TEXT    NOT NULL,
    seq     INTEGER NOT NULL,
    head    TEXT    NOT NULL,
    vector  TEXT    NOT NULL,
    fields  TEXT    NOT NULL,
    held    TEXT    NOT NULL,
    deleted TEXT
) STRICT;
CREATE INDEX records_living ON records (entity) WHERE deleted IS NULL;

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

-- What provably stands in each copy: per field in `fields` (JSON), with the vectors it has seen and may have been sent.
CREATE TABLE shadows (
    record_id   TEXT NOT NULL REFERENCES records (id),
    system      TEXT NOT NULL,
    fields      TEXT NOT NULL,
    seen        TEXT NOT NULL,
    sent        TEXT NOT NULL,
    order_token TEXT,
    version     TEXT,
    PRIMARY KEY (record_id, system)
) STRICT;

-- What shall be written to each copy and how far that has come, with its schedule.
CREATE TABLE intents (
    position   INTEGER PRIMARY KEY,
    record_id  TEXT    NOT NULL REFERENCES records (id),
    system     TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    operation  TEXT    NOT NULL,
    fields     TEXT    NOT NULL,
    vector     TEXT    NOT NULL,
    status     TEXT    NOT NULL,
    attempt    INTEGER NOT NULL,
    not_before TEXT    NOT NULL,
    failures   INTEGER NOT NULL DEFAULT 0,
    last_error TEXT,
    UNIQUE (record_id, system)
) STRICT;
CREATE INDEX intents_due  ON intents (system, not_before);
CREATE INDEX intents_next ON intents (not_before);
CREATE INDEX intents_open ON intents (system, status);
CREATE INDEX intents_delete ON intents (system) WHERE operation = 'delete';

-- What we wrote last, in each direction, per field. Only the last entry of a direction counts.
CREATE TABLE sync_ledger (
    record_key      TEXT NOT NULL,
    direction       TEXT NOT NULL,
    field           TEXT NOT NULL,
    source_system   TEXT NOT NULL,
    target_system   TEXT NOT NULL,
    field_hash      TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    synced_at       TEXT NOT NULL,
    PRIMARY KEY (record_key, direction, field)
) STRICT, WITHOUT ROWID;

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

-- Where each feed and listing stands.
CREATE TABLE cursors (
    system   TEXT NOT NULL,
    entity   TEXT NOT NULL,
    kind     TEXT NOT NULL,
    position TEXT NOT NULL,
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

-- Copies that shall be read.
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
CREATE INDEX signals_due ON signals (not_before);
