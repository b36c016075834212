-- What comparisons of the systems with the store have found: the report and its differences, as JSON.
CREATE TABLE reconciliations (
    run    INTEGER NOT NULL PRIMARY KEY,
    report TEXT    NOT NULL
) STRICT;
CREATE TABLE reconciliation_differences (
    run        INTEGER NOT NULL,
    number     INTEGER NOT NULL,
    difference TEXT    NOT NULL,
    PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;
