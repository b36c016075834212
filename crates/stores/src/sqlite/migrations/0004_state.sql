-- The state of a record is one row, whole, as JSON: a change writes one row instead of five, and reading it is one look.
-- `match_keys` lists the keys under which it is found, so that a commit knows which rows to take back.
DROP INDEX records_living;
ALTER TABLE records ADD COLUMN living INTEGER NOT NULL DEFAULT 1 CHECK (living IN (0, 1));
ALTER TABLE records ADD COLUMN match_keys TEXT;
ALTER TABLE records ADD COLUMN state TEXT NOT NULL DEFAULT '';
UPDATE records SET
    living = deleted IS NULL,
    match_keys = (SELECT json_group_array(key ORDER BY key) FROM match_keys AS m WHERE m.record_id = records.id),
    -- A text that is no JSON leaves the state empty: whoever reads that record names it, and the others go on.
    state = iif(json_valid(vector) AND json_valid(fields) AND json_valid(held) AND coalesce(json_valid(deleted), 1)
        AND NOT EXISTS (SELECT 1 FROM shadows AS s WHERE s.record_id = records.id AND NOT (json_valid(s.fields)
            AND json_valid(s.seen) AND json_valid(s.sent) AND coalesce(json_valid(s.order_token), 1)))
        AND NOT EXISTS (SELECT 1 FROM intents AS i WHERE i.record_id = records.id
            AND NOT (json_valid(i.fields) AND json_valid(i.vector)))
        AND NOT EXISTS (SELECT 1 FROM reviews AS r WHERE r.record_id = records.id AND r.status = 'open'
            AND NOT (json_valid(r.reason) AND coalesce(json_valid(r.believed), 1) AND json_valid(r.proposed))), json_object(
        'id', id, 'entity', entity, 'seq', seq, 'head', head, 'vector', json(vector), 'fields', json(fields),
        'held', json(held), 'deleted', json(deleted),
        'copies', json((
            SELECT json_group_object(l.system, json_object(
                'remote_id', l.remote_id, 'alive', json(iif(l.alive, 'true', 'false')),
                'wanted', json(iif(s.wanted, 'true', 'false')), 'fields', json(s.fields), 'seen', json(s.seen),
                'sent', json(s.sent), 'changed_at', coalesce(
                    strftime('%Y-%m-%dT%H:%M:%fZ', s.changed_at / 1000.0, 'unixepoch'), '1970-01-01T00:00:00.000Z'),
                'order', json(s.order_token), 'version', s.version))
            FROM links AS l JOIN shadows AS s ON s.record_id = l.record_id AND s.system = l.system
            WHERE l.record_id = records.id)),
        'intents', json((
            SELECT json_group_object(i.system, json_object(
                'key', i.key, 'operation', i.operation, 'fields', json(i.fields), 'vector', json(i.vector),
                'status', iif(i.status = 'pending', 'planned', i.status), 'attempt', i.attempt))
            FROM intents AS i WHERE i.record_id = records.id)),
        'reviews', json((
            SELECT json_group_object(r.field, json_object(
                'id', r.id, 'reason', json(r.reason), 'believed', json(r.believed), 'proposed', json(r.proposed),
                'opened_at', r.opened_at))
            FROM reviews AS r WHERE r.record_id = records.id AND r.status = 'open'))), '');
ALTER TABLE records DROP COLUMN head;
ALTER TABLE records DROP COLUMN vector;
ALTER TABLE records DROP COLUMN fields;
ALTER TABLE records DROP COLUMN held;
ALTER TABLE records DROP COLUMN deleted;
CREATE INDEX records_living ON records (entity) WHERE living = 1;

-- What each of those rows said can be read as before.
DROP TABLE shadows;
CREATE VIEW shadows AS
SELECT records.id AS record_id, c.key AS system, c.value ->> 'remote_id' AS remote_id, f.key AS field,
       f.value ->> 'content' AS content, f.value -> 'base' AS base, f.value ->> 'wrote' AS wrote,
       c.value -> 'seen' AS seen, c.value -> 'sent' AS sent, c.value ->> 'changed_at' AS changed_at
FROM records, json_each(records.state, '$.copies') AS c, json_each(c.value, '$.fields') AS f;

CREATE VIEW beliefs AS
SELECT records.id AS record_id, records.entity, f.key AS field, f.value ->> 'value' AS value,
       f.value -> 'dot' AS dot, f.value ->> 'since' AS since
FROM records, json_each(records.state, '$.fields') AS f;

-- What shall be written to each copy is in the record's state; here is its schedule. One index tells what is due.
DROP INDEX intents_due;
DROP INDEX intents_next;
DROP INDEX intents_open;
DROP INDEX intents_delete;
ALTER TABLE intents RENAME TO intents_before;
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
INSERT INTO intents
SELECT position, record_id, system, key, operation, status, attempt, not_before, failures, last_error
FROM intents_before;
DROP TABLE intents_before;
CREATE INDEX intents_due ON intents (system, not_before);
CREATE INDEX intents_delete ON intents (system) WHERE operation = 'delete';

-- The ledger says what the history says; nothing is written for it.
DROP TABLE sync_ledger;
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
