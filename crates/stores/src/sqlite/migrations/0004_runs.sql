-- What made events: one row a pass, a service period or an act of a person. `counts` is JSON.
CREATE TABLE runs (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    kind          TEXT    NOT NULL,
    made_by       TEXT    NOT NULL,
    why           TEXT    NOT NULL,
    configuration TEXT    NOT NULL,
    began_at      TEXT    NOT NULL,
    seen_at       TEXT    NOT NULL,
    ended_at      TEXT,
    ended         TEXT,
    events        INTEGER NOT NULL DEFAULT 0,
    counts        TEXT    NOT NULL
) STRICT;
CREATE INDEX runs_quiet ON runs (id) WHERE events = 0;

-- The run that made each event; none for those of before.
ALTER TABLE events ADD COLUMN run INTEGER;
CREATE INDEX events_run ON events (run, record_id, seq) WHERE run IS NOT NULL;
