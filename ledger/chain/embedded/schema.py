"""The tables of the chain's file. What a release changes here gets a new version and a step in `migration`.

`nodes` grows at its end and is found through an index of hashes alone: a table ordered by hash would touch a
page for nearly every node of a block. `replaced` says which nodes a block made useless for later states.
"""

VERSION = 2
OLDEST_STATE = "oldest_state"
"""key in `meta`: the first block whose state is whole"""

STATE = """
CREATE TABLE nodes(
    id INTEGER PRIMARY KEY, hash BLOB NOT NULL, owner BLOB NOT NULL, number INTEGER NOT NULL,
    value BLOB NOT NULL);
CREATE UNIQUE INDEX nodes_by_hash ON nodes(hash, owner);
CREATE TABLE replaced(
    number INTEGER NOT NULL, block BLOB NOT NULL, owner BLOB NOT NULL, hashes BLOB NOT NULL,
    PRIMARY KEY(number, block, owner)) WITHOUT ROWID;
CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('oldest_state', 0)
"""
BLOCKS = """
CREATE TABLE blocks(
    hash BLOB PRIMARY KEY, number INTEGER NOT NULL, parent BLOB NOT NULL, timestamp INTEGER NOT NULL,
    header BLOB NOT NULL, size INTEGER NOT NULL, canonical INTEGER NOT NULL);
CREATE UNIQUE INDEX canonical_blocks ON blocks(number) WHERE canonical = 1;
CREATE TABLE txs(
    block BLOB NOT NULL, position INTEGER NOT NULL, hash BLOB NOT NULL, sender BLOB NOT NULL,
    raw BLOB NOT NULL, PRIMARY KEY(block, position));
CREATE INDEX txs_by_hash ON txs(hash);
CREATE TABLE receipts(
    block BLOB NOT NULL, position INTEGER NOT NULL, type INTEGER NOT NULL, status INTEGER NOT NULL,
    gas_used INTEGER NOT NULL, cumulative_gas INTEGER NOT NULL, price TEXT NOT NULL, contract BLOB,
    bloom BLOB NOT NULL, PRIMARY KEY(block, position));
CREATE TABLE logs(
    block BLOB NOT NULL, position INTEGER NOT NULL, number INTEGER NOT NULL,
    tx_position INTEGER NOT NULL, tx BLOB NOT NULL, address BLOB NOT NULL, topic0 BLOB, topic1 BLOB,
    topic2 BLOB, topic3 BLOB, data BLOB NOT NULL, canonical INTEGER NOT NULL,
    PRIMARY KEY(block, position));
CREATE INDEX logs_by_number ON logs(number, position) WHERE canonical = 1;
CREATE INDEX logs_by_address ON logs(address, topic0, number) WHERE canonical = 1;
CREATE INDEX logs_by_topic1 ON logs(topic1, number) WHERE canonical = 1 AND topic1 IS NOT NULL;
CREATE INDEX logs_by_topic2 ON logs(topic2, number) WHERE canonical = 1 AND topic2 IS NOT NULL;
CREATE INDEX logs_by_topic3 ON logs(topic3, number) WHERE canonical = 1 AND topic3 IS NOT NULL;
CREATE TABLE grants(address BLOB NOT NULL, at INTEGER NOT NULL);
CREATE INDEX grants_by_time ON grants(at)
"""
