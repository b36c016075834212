-- The app's own table, as any app would have it. `avowal` adds its log and triggers beside it, and removes them.
CREATE TABLE customers (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,   -- so that no id is given twice
    code           TEXT,
    email          TEXT NOT NULL,
    full_name      TEXT,
    phone_number   TEXT,
    stage          TEXT,
    billing_status TEXT,
    tags           TEXT NOT NULL DEFAULT '[]',   -- a JSON array
    credit         INTEGER NOT NULL DEFAULT 0,
    note           TEXT,
    updated_at     TEXT
);
CREATE INDEX customers_email ON customers (email);
