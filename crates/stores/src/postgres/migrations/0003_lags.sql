-- The longest lag that the reads of a system were seen to have.
CREATE TABLE lags (
    system text   NOT NULL PRIMARY KEY,
    ms     bigint NOT NULL CHECK (ms >= 0)
);
