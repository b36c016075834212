-- What made events: one row a pass, a service period or an act of a person. `counts` is JSON.
CREATE TABLE runs (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind          text   NOT NULL,
    made_by       text   NOT NULL,
    why           text   NOT NULL,
    configuration text   NOT NULL,
    began_at      bigint NOT NULL,
    seen_at       bigint NOT NULL,
    ended_at      bigint,
    ended         text,
    events        bigint NOT NULL DEFAULT 0,
    counts        text   NOT NULL
);
CREATE INDEX runs_quiet ON runs (id) WHERE events = 0;

-- The run that made each event; none for those of before.
ALTER TABLE events ADD COLUMN run bigint;
CREATE INDEX events_run ON events (run, record_id, seq) WHERE run IS NOT NULL;
