-- Who we are to the systems: the name that our tables and triggers carry there. Made once.
CREATE TABLE installation (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    name text NOT NULL
);
INSERT INTO installation (name) VALUES (substr(md5(random()::text || clock_timestamp()::text), 1, 8));

-- What may not go on with a system until somebody lets it; a lifted stop keeps who set and who lifted it.
CREATE TABLE stops (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    system    text NOT NULL,
    direction text NOT NULL CHECK (direction IN ('in', 'out')),
    cause     text NOT NULL,
    set_by    text,
    note      text,
    since     bigint NOT NULL,
    lifted_by text,
    lifted_at bigint
);
CREATE UNIQUE INDEX stops_standing ON stops (system, direction, cause) WHERE lifted_at IS NULL;
