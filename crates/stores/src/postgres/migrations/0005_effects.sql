-- What a planned update would do to its copy, as guards count it: a JSON array of names.
ALTER TABLE intents ADD COLUMN effects text;
-- Of which entity: counting the effects reads no record.
ALTER TABLE intents ADD COLUMN entity text COLLATE "C";

-- How often writes had each effect, in slots of a minute since 1970, for guards and budgets. Old slots are forgotten.
CREATE TABLE effects (
    system text   COLLATE "C" NOT NULL,
    slot   bigint NOT NULL,
    entity text   COLLATE "C" NOT NULL,
    effect text   COLLATE "C" NOT NULL,
    count  bigint NOT NULL,
    PRIMARY KEY (system, slot, entity, effect)
);
