-- When each copy last changed, in milliseconds since 1970: a read that lags may show an older state for a while.
ALTER TABLE shadows ADD COLUMN changed_at INTEGER NOT NULL DEFAULT 0;

-- Whether a copy that is gone shall be made again.
ALTER TABLE shadows ADD COLUMN wanted INTEGER NOT NULL DEFAULT 0 CHECK (wanted IN (0, 1));
