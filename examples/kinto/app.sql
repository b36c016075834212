-- The app's own table, as any app would have it. `avowal` adds its log and triggers beside it, and removes them.
CREATE TABLE customers (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,   -- so that no id is given twice
    email TEXT NOT NULL,
    name  TEXT,
    stage TEXT,
    phone TEXT,
    note  TEXT
);
CREATE INDEX customers_email ON customers (email);
