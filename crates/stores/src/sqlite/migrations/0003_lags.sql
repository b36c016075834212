-- The longest lag that the reads of a system were seen to have.
CREATE TABLE lags (
    system TEXT    NOT NULL PRIMARY KEY,
    ms     INTEGER NOT NULL CHECK (ms >= 0)
) STRICT;
