-- Profiles that people made; the built-in ones are files of the program.
CREATE TABLE profile (
    name       TEXT NOT NULL PRIMARY KEY,
    spec       TEXT NOT NULL,                       -- JSON
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT;
