-- Which transactions a reorganisation took back is asked with every block.
CREATE INDEX txs_nonce ON txs (nonce) WHERE status IN ('mined', 'failed') AND nonce IS NOT NULL;
