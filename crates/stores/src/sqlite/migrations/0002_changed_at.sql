-- When each copy last changed, in milliseconds since 1970: a read that lags may show an older state for a while.
ALTER TABLE shadows ADD COLUMN changed_at INTEGER NOT NULL DEFAULT 0;
