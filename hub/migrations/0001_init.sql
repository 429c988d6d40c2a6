-- What the protocol's machine keeps: its journal, by key. Keys are ordered bytewise.
CREATE TABLE kv (
    key TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL
) WITHOUT ROWID, STRICT;

-- What the node itself keeps: format version, identity, the place up to which the chain was read.
CREATE TABLE meta (
    key TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) WITHOUT ROWID, STRICT;

-- Every transaction that the hub ever wanted sent. A row is never deleted: its id is what makes it happen once.
CREATE TABLE txs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    label TEXT NOT NULL,
    target BLOB NOT NULL,
    data BLOB NOT NULL,
    value BLOB NOT NULL,
    -- The token whose allowance it spends, and how much of it.
    token BLOB,
    token_amount BLOB,
    status TEXT NOT NULL CHECK (status IN ('queued', 'sent', 'mined', 'failed')),
    nonce INTEGER,
    gas INTEGER,
    block INTEGER
) STRICT;
CREATE INDEX txs_open ON txs (seq) WHERE status IN ('queued', 'sent');

-- Every signed form of a transaction; more than one where the fee was raised.
CREATE TABLE attempts (
    hash BLOB PRIMARY KEY NOT NULL,
    id TEXT NOT NULL REFERENCES txs (id),
    raw BLOB NOT NULL,
    max_fee BLOB NOT NULL,
    priority_fee BLOB NOT NULL,
    signed_at INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE INDEX attempts_id ON attempts (id);
