-- What a planned update would do to its copy, as guards count it: a JSON array of names.
ALTER TABLE intents ADD COLUMN effects TEXT;
-- Of which entity, where there are effects: counting them reads no record.
ALTER TABLE intents ADD COLUMN entity TEXT;

-- How often writes had each effect, in slots of a minute since 1970, for guards and budgets. Old slots are forgotten.
CREATE TABLE effects (
    system TEXT    NOT NULL,
    slot   INTEGER NOT NULL,
    entity TEXT    NOT NULL,
    effect TEXT    NOT NULL,
    count  INTEGER NOT NULL,
    PRIMARY KEY (system, slot, entity, effect)
) STRICT, WITHOUT ROWID;
