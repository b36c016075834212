-- What comparisons of the systems with the store have found: the report and its differences, as JSON.
CREATE TABLE reconciliations (
    run    bigint PRIMARY KEY,
    report text   NOT NULL
);
CREATE TABLE reconciliation_differences (
    run        bigint NOT NULL,
    number     bigint NOT NULL,
    difference text   NOT NULL,
    PRIMARY KEY (run, number)
);
