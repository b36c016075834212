-- Who we are to the systems: the name that our tables and triggers carry there. Made once.
CREATE TABLE installation (
    one  INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    name TEXT    NOT NULL
) STRICT;
INSERT INTO installation VALUES (1, lower(hex(randomblob(4))));

-- What may not go on with a system until somebody lets it; a lifted stop keeps who set and who lifted it.
CREATE TABLE stops (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    system    TEXT NOT NULL,
    direction TEXT NOT NULL CHECK (direction IN ('in', 'out')),
    cause     TEXT NOT NULL,
    set_by    TEXT,
    note      TEXT,
    since     TEXT NOT NULL,
    lifted_by TEXT,
    lifted_at TEXT
) STRICT;
CREATE UNIQUE INDEX stops_standing ON stops (system, direction, cause) WHERE lifted_at IS NULL;
