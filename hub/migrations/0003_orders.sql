-- What is wanted and what is signed are two things: one transaction may carry out several orders, and an order may
-- need several transactions, one after the other.
-- (`orders` are those of a watchtower's clients.)
CREATE TABLE tx_orders (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    -- An id is carried out once.
    id TEXT NOT NULL UNIQUE,
    channel BLOB NOT NULL,
    label TEXT NOT NULL,
    target BLOB NOT NULL,
    data BLOB NOT NULL,
    value BLOB NOT NULL,
    -- The token whose allowance it spends, and how much of it.
    token BLOB,
    token_amount BLOB,
    purpose TEXT NOT NULL CHECK (purpose IN ('protect', 'collect', 'fund', 'serve')),
    asset BLOB NOT NULL,
    amount BLOB NOT NULL,
    deadline INTEGER,
    status TEXT NOT NULL CHECK (status IN ('queued', 'sent', 'mined', 'failed')),
    -- The transaction that carries it out, while it is signed.
    tx INTEGER REFERENCES transactions (id),
    failures INTEGER NOT NULL DEFAULT 0,
    reverts INTEGER NOT NULL DEFAULT 0,
    not_before INTEGER NOT NULL DEFAULT 0,
    queued_at INTEGER NOT NULL DEFAULT 0,
    ended_at INTEGER
) STRICT;

-- Uses of a nonce. Two of them may have the same one: whichever is mined, the other is lost.
CREATE TABLE transactions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    nonce INTEGER NOT NULL,
    label TEXT NOT NULL,
    target BLOB NOT NULL,
    data BLOB NOT NULL,
    value BLOB NOT NULL,
    gas INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('sent', 'mined', 'failed', 'lost')),
    block INTEGER,
    ended_at INTEGER
) STRICT;

INSERT INTO transactions (id, nonce, label, target, data, value, gas, status, block, ended_at)
    SELECT seq, nonce, label, target, data, value, coalesce(gas, 0), status, block,
        CASE WHEN status = 'sent' THEN NULL ELSE unixepoch() END
    FROM txs WHERE nonce IS NOT NULL AND status <> 'queued';

-- What an order was for was not kept: its call says it, and an amount beyond all others that it may cost what it takes.
INSERT INTO tx_orders (seq, id, channel, label, target, data, value, token, token_amount, purpose, asset, amount,
        deadline, status, tx, queued_at, ended_at)
    SELECT seq, id, zeroblob(32), label, target, data, value, token, token_amount,
        CASE label
            WHEN 'recordEvidence' THEN 'protect' WHEN 'submitProofs' THEN 'protect'
            WHEN 'startExit' THEN 'collect' WHEN 'settle' THEN 'collect' WHEN 'claimLock' THEN 'collect'
            WHEN 'deposit' THEN 'fund' WHEN 'approve' THEN 'fund' ELSE 'serve' END,
        coalesce(token, zeroblob(20)), x'ffffffffffffffffffffffffffffffff',
        CASE WHEN label IN ('recordEvidence', 'submitProofs') THEN 9223372036854775807 END,
        status, CASE WHEN nonce IS NOT NULL AND status <> 'queued' THEN seq END, unixepoch(),
        CASE WHEN status IN ('mined', 'failed') THEN unixepoch() END
    FROM txs;

ALTER TABLE attempts RENAME TO old_attempts;
DROP INDEX attempts_id;

-- Every signed form of a transaction; more than one where the fee was raised.
CREATE TABLE attempts (
    hash BLOB PRIMARY KEY NOT NULL,
    tx INTEGER NOT NULL REFERENCES transactions (id),
    raw BLOB NOT NULL,
    max_fee BLOB NOT NULL,
    priority_fee BLOB NOT NULL,
    -- The newest block when it was signed, and its time.
    head INTEGER NOT NULL,
    time INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

INSERT INTO attempts (hash, tx, raw, max_fee, priority_fee, head, time)
    SELECT hash, txs.seq, raw, max_fee, priority_fee, 0, signed_at
    FROM old_attempts JOIN txs ON txs.id = old_attempts.id WHERE txs.nonce IS NOT NULL AND txs.status <> 'queued';

DROP TABLE old_attempts;
DROP TABLE txs;

CREATE INDEX orders_open ON tx_orders (seq) WHERE status IN ('queued', 'sent');
CREATE INDEX orders_tx ON tx_orders (tx) WHERE tx IS NOT NULL;
CREATE INDEX orders_ended ON tx_orders (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX transactions_open ON transactions (nonce) WHERE status = 'sent';
-- Which transactions a reorganisation took back is asked with every block.
CREATE INDEX transactions_nonce ON transactions (nonce) WHERE status IN ('mined', 'failed');
CREATE INDEX attempts_tx ON attempts (tx);
