-- Pause of all deliveries; without a row they are sent.
CREATE TABLE pause (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    since_ms INTEGER NOT NULL,
    actor    TEXT NOT NULL,
    reason   TEXT NOT NULL
) STRICT;

-- Backups are told like the disk: a machine_fault named 'backup', its size the time of the last good one.
UPDATE contact SET topics = json_insert(topics, '$[#]', 'backup')
WHERE tenant IS NULL AND EXISTS (SELECT 1 FROM json_each(contact.topics) WHERE value = 'disk');
