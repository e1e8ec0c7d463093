"""What somebody with the node's file may do to it: one defect each, and the row that an audit must name."""

from dataclasses import dataclass

from tests.fakes.chain_grid import BUYER, MONEY, NODE


@dataclass(frozen=True, kw_only=True)
class Defect:
    """`plant` are the statements; `row` asks, before them, for the key of the row that must be named."""

    plant: tuple[str, ...]
    table: str
    field: str
    row: str


def changed(table: str, column: str, to: str, where: str, key: str) -> Defect:
    return Defect(
        plant=(f"UPDATE {table} SET {column} = {to} WHERE {where}",),
        table=table,
        field=column,
        row=f"SELECT {key} FROM {table} WHERE {where}",
    )


def dropped(table: str, where: str, key: str) -> Defect:
    return Defect(
        plant=(f"DELETE FROM {table} WHERE {where}",),
        table=table,
        field="row",
        row=f"SELECT {key} FROM {table} WHERE {where}",
    )


def swapped(table: str, column: str, key: str, one: str, other: str) -> Defect:
    """Both rows get each other's cell; the first is asked for."""
    return Defect(
        plant=(
            f"CREATE TEMP TABLE swap AS SELECT (SELECT {column} FROM {table} WHERE {one}) a, "
            f"(SELECT {column} FROM {table} WHERE {other}) b",
            f"UPDATE {table} SET {column} = CASE WHEN {one} THEN (SELECT b FROM swap) "
            f"ELSE (SELECT a FROM swap) END WHERE ({one}) OR ({other})",
        ),
        table=table,
        field=column,
        row=f"SELECT {key} FROM {table} WHERE {one}",
    )


BUYERS = f"balance:0x{BUYER.address.hex()}"
DEPOSIT = f"kind = 'direct' AND purpose = 'deposit' AND credit = '{BUYERS}'"
USAGE = "id = (SELECT MIN(id) FROM transfers WHERE purpose = 'usage')"
CLOSED, OPEN = "state = 'closed'", "state = 'active'"
FIRST_EVENT = "seq = (SELECT MIN(seq) FROM events WHERE name = 'Deposited')"
DEFECTS = {
    "a transfer of one unit more": changed("transfers", "low", "low + 1", DEPOSIT, "id"),
    "a transfer that is gone": dropped(
        "transfers", "id = (SELECT MIN(id) FROM transfers WHERE purpose = 'fee')", "id"
    ),
    "a transfer that is there twice": Defect(
        plant=(
            "CREATE TEMP TABLE twin AS SELECT * FROM transfers WHERE " + USAGE,
            "UPDATE twin SET id = (SELECT MAX(id) + 1 FROM transfers)",
            "INSERT INTO transfers SELECT * FROM twin",
        ),
        table="transfers",
        field="row",
        row="SELECT MAX(id) + 1 FROM transfers",
    ),
    "a leg moved to another account": changed(
        "transfers", "credit", f"'balance:0x{NODE.address.hex()}'", USAGE, "id"
    ),
    "the sides of a transfer swapped": changed("transfers", "debit", "credit, credit = debit", USAGE, "id"),
    "amounts of two transfers swapped": swapped("transfers", "low", "id", USAGE, "purpose = 'stake'"),
    "a transfer said of another event": changed("transfers", "log_index", "log_index + 1", DEPOSIT, "id"),
    "an account's total changed": changed(
        "accounts", "credits_posted_low", "credits_posted_low + 1", f"name = '{BUYERS}'", "name"
    ),
    "an account's escrow forgotten": changed(
        "accounts", "debits_pending_low", "0", f"name = '{BUYERS}'", "name"
    ),
    "an account that is gone": dropped("accounts", "name = 'fees'", "name"),
    "a hold of one unit less": changed("holds", "low", "low - 1", "name LIKE 'escrow:%' AND low > 0", "name"),
    "stake that unlocks at once": changed("unlocks", "at", "1", "1 = 1", "account"),
    "a lease that paid one unit more": changed("leases", "paid", "paid + 1", CLOSED, "id"),
    "a lease that is gone": dropped("leases", OPEN, "id"),
    "receipts of two leases swapped": swapped("leases", "receipt", "id", CLOSED, OPEN),
    "a job said to have failed": changed("jobs", "state", "'failed'", "state = 'succeeded'", "job"),
    "a bid with another signature": changed(
        "bids", "signed", "replace(signed, '\"nonce\":', '\"nonce\": 1')", "rowid = 1", "bid"
    ),
    "an output of another size": changed("outputs", "size", "'2'", "path = 'out'", "lease || '/' || path"),
    "a usage line of another time": changed(
        "usage_lines", "body", "replace(body, '30000', '29999')", "body LIKE '%30000%'", "seq"
    ),
    "a usage line that is gone": dropped("usage_lines", "seq = (SELECT MIN(seq) FROM usage_lines)", "seq"),
    "an offer with more in use": changed("offers", "used", "used + 1", "1 = 1", "id"),
    "a delegate that may spend more": changed(
        "delegations", "allowance", "'8'", "1 = 1", "account || '/' || key"
    ),
    "an epoch taken back": changed("epochs", "epoch", "'0'", "1 = 1", "account"),
    "another guardian": changed("market", "guardian", f"'0x{NODE.address.hex()}'", "1 = 1", "id"),
    "an event of another amount": changed(
        "events", "body", f"replace(body, '{MONEY}', '{MONEY + 1}')", FIRST_EVENT, "seq"
    ),
    "an event of another transaction": changed(
        "events", "transaction_hash", "block_hash", FIRST_EVENT, "seq"
    ),
    "an event that is gone": dropped("events", FIRST_EVENT, "seq"),
    "an event said to have vanished": changed("events", "rewound", "1", FIRST_EVENT, "seq"),
    "a block that is gone": dropped("blocks", "number = (SELECT MIN(number) FROM blocks)", "hash"),
    "a journal entry of other words": Defect(
        plant=("UPDATE journal SET body = replace(body, '30000', '29999') WHERE kind = 'UsageReported'",),
        table="journal",
        field="digest",
        row="SELECT MIN(seq) FROM journal WHERE kind = 'UsageReported'",
    ),
    "a journal entry that is gone": dropped(
        "journal", "seq = (SELECT MIN(seq) FROM journal WHERE kind = 'ReceiptCosigned')", "seq"
    ),
    "journal entries in another order": Defect(
        plant=(
            "UPDATE journal SET seq = -1 WHERE seq = 2",
            "UPDATE journal SET seq = 2 WHERE seq = 3",
            "UPDATE journal SET seq = 3 WHERE seq = -1",
        ),
        table="journal",
        field="digest",
        row="SELECT 2",
    ),
    "a journal entry put in": Defect(
        plant=(
            "INSERT INTO journal SELECT (SELECT MAX(seq) + 1 FROM journal), at, kind, slot, body, digest "
            "FROM journal WHERE kind = 'JobReported' LIMIT 1",
        ),
        table="journal",
        field="digest",
        row="SELECT MAX(seq) + 1 FROM journal",
    ),
    "a document of other words": changed("documents", "body", "CAST('{}' AS BLOB)", "1 = 1", "hash"),
    "a cursor moved back": Defect(
        plant=("UPDATE cursor SET block = json_set(block, '$.number', 2)",),
        table="cursor",
        field="block",
        row="SELECT 1",
    ),
    "a cursor moved on": Defect(
        plant=("UPDATE cursor SET block = json_set(block, '$.number', 10000)",),
        table="cursor",
        field="hash",
        row="SELECT 1",
    ),
    "a cursor that cannot be read": changed("cursor", "block", "'here'", "1 = 1", "id"),
    "a cursor on another branch": Defect(
        plant=('UPDATE cursor SET block = replace(block, \'"hash":"0x\', \'"hash":"0x00\')',),
        table="cursor",
        field="hash",
        row="SELECT 1",
    ),
    "a wish said to be done": changed("intents", "state", "'done'", "key = 'settle open again'", "id"),
    "a wish that would be sent again": changed("intents", "state", "'pending'", "key = 'open open'", "id"),
    "a wish for something else": Defect(
        plant=(
            "UPDATE intents SET instruction = replace(instruction, '30000', '29999') "
            "WHERE key = 'settle closed'",
        ),
        table="intents",
        field="instruction",
        row="SELECT id FROM intents WHERE key = 'settle closed'",
    ),
    "a wish that is gone": dropped("intents", "key = 'open closed'", "id"),
    "a transaction of other bytes": changed("attempts", "raw", "CAST('raw' AS BLOB)", "id = 1", "id"),
    "a transaction that carries another wish": changed("attempts", "intents", "'[3]'", "id = 1", "id"),
    "a transaction of another nonce": changed("attempts", "nonce", "nonce + 9", "id = 2", "id"),
    "a transaction of another sender": changed(
        "attempts", "sender", f"'0x{BUYER.address.hex()}'", "id = 2", "id"
    ),
    "a transaction at another fee": changed("attempts", "max_fee", "max_fee + 1", "id = 2", "id"),
}
