-- Format 1 of a watchtower's tables; what changes is a step of its own (`STEPS` in store.rs). They are beside those of the
-- node itself (meta, tx_orders, transactions, attempts). Integers of the protocol are big-endian blobs of their full width:
-- SQLite's own have a sign.

CREATE TABLE IF NOT EXISTS watched (
    channel BLOB PRIMARY KEY NOT NULL,
    definition TEXT NOT NULL,
    -- Whether the chain was read for it since it was last asked for.
    checked INTEGER NOT NULL,
    -- The last second of a running exit, and the newest block when it was seen last.
    exit_ends_at INTEGER,
    exit_seen INTEGER
) WITHOUT ROWID, STRICT;
CREATE INDEX IF NOT EXISTS watched_unchecked ON watched (channel) WHERE checked = 0;
CREATE INDEX IF NOT EXISTS watched_exiting ON watched (channel) WHERE exit_ends_at IS NOT NULL;

-- Who asked for it: at most both sides.
CREATE TABLE IF NOT EXISTS orders (
    channel BLOB NOT NULL REFERENCES watched (channel) ON DELETE CASCADE,
    side INTEGER NOT NULL,
    signer BLOB NOT NULL,
    PRIMARY KEY (channel, side)
) WITHOUT ROWID, STRICT;
CREATE INDEX IF NOT EXISTS orders_signer ON orders (signer);

-- The newest proof of each lane, which both sides signed.
CREATE TABLE IF NOT EXISTS lanes (
    channel BLOB NOT NULL REFERENCES watched (channel) ON DELETE CASCADE,
    asset BLOB NOT NULL,
    payer INTEGER NOT NULL,
    nonce BLOB NOT NULL,
    transferred BLOB NOT NULL,
    locked BLOB NOT NULL,
    locks_root BLOB NOT NULL,
    seen BLOB NOT NULL,
    signature BLOB NOT NULL,
    acknowledgement BLOB NOT NULL,
    time INTEGER NOT NULL,
    PRIMARY KEY (channel, asset, payer)
) WITHOUT ROWID, STRICT;

-- Evidence for locks of the newest proof of a lane.
CREATE TABLE IF NOT EXISTS evidence (
    channel BLOB NOT NULL REFERENCES watched (channel) ON DELETE CASCADE,
    asset BLOB NOT NULL,
    payer INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    condition BLOB NOT NULL,
    params BLOB NOT NULL,
    expiry INTEGER NOT NULL,
    units INTEGER NOT NULL,
    evidence BLOB NOT NULL,
    PRIMARY KEY (channel, asset, payer, slot)
) WITHOUT ROWID, STRICT;
CREATE INDEX IF NOT EXISTS evidence_expiry ON evidence (expiry);
