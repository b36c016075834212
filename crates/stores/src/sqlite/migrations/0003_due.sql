-- Signals are asked for by system, and old deliveries are forgotten oldest first.
DROP INDEX signals_due;
CREATE INDEX signals_due ON signals (system, not_before);
CREATE INDEX signals_next ON signals (not_before);
CREATE INDEX dedupe_oldest ON dedupe (received_at);
