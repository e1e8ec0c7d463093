"""Money as double entry, usage lines in trees, a sealed journal, and what the outbox and replicas remember.

Tables that are derived from the journal are dropped and made anew, since they are replayed after a migration.
"""

import sqlalchemy as sa
from alembic import op

from ledger.books.columns import Hex
from ledger.books.journal_chain import seal

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _seal_the_journal()
    _money()
    _usage_lines()
    _outbox()
    _writers()


def _seal_the_journal() -> None:
    with op.batch_alter_table("journal") as journal:
        journal.add_column(sa.Column("digest", sa.String(), nullable=True))
    connection = op.get_bind()
    columns = (sa.Column(name, WHOLE) for name in ("seq", "at"))
    texts = (sa.Column(name, sa.String()) for name in ("kind", "slot", "body"))
    entries = sa.Table("journal", sa.MetaData(), *columns, *texts, sa.Column("digest", Hex()))
    seal(connection, entries)
    with op.batch_alter_table("journal") as journal:
        journal.alter_column("digest", existing_type=sa.String(), nullable=False)


def _money() -> None:
    for name in ("postings", "balances", "stakes"):
        op.drop_table(name)
    op.create_table(
        "accounts",
        sa.Column("name", sa.String(), nullable=False, primary_key=True),
        sa.Column("unbounded", sa.Boolean(), nullable=False),
        sa.Column("debits_pending_high", WHOLE, nullable=False),
        sa.Column("debits_pending_low", WHOLE, nullable=False),
        sa.Column("debits_posted_high", WHOLE, nullable=False),
        sa.Column("debits_posted_low", WHOLE, nullable=False),
        sa.Column("credits_pending_high", WHOLE, nullable=False),
        sa.Column("credits_pending_low", WHOLE, nullable=False),
        sa.Column("credits_posted_high", WHOLE, nullable=False),
        sa.Column("credits_posted_low", WHOLE, nullable=False),
        sa.Column("last_transfer", WHOLE, nullable=False),
        sa.CheckConstraint(
            "debits_pending_high >= 0 AND debits_pending_low >= 0 AND debits_pending_low < "
            "1000000000000000000 AND debits_posted_high >= 0 AND debits_posted_low >= 0 AND "
            "debits_posted_low < 1000000000000000000 AND credits_pending_high >= 0 AND "
            "credits_pending_low >= 0 AND credits_pending_low < 1000000000000000000 AND "
            "credits_posted_high >= 0 AND credits_posted_low >= 0 AND credits_posted_low < "
            "1000000000000000000",
            name="account_totals",
        ),
        sa.CheckConstraint(
            "unbounded OR credits_posted_high > (debits_posted_high + debits_pending_high + "
            "(debits_posted_low + debits_pending_low) / 1000000000000000000) OR "
            "(credits_posted_high = (debits_posted_high + debits_pending_high + "
            "(debits_posted_low + debits_pending_low) / 1000000000000000000) AND "
            "credits_posted_low >= (debits_posted_low + debits_pending_low) - "
            "(debits_posted_low + debits_pending_low) / 1000000000000000000 * "
            "1000000000000000000)",
            name="no_account_below_zero",
        ),
    )
    op.create_table(
        "holds",
        sa.Column("name", sa.String(), nullable=False, primary_key=True),
        sa.Column("debit", sa.String(), nullable=False),
        sa.Column("credit", sa.String(), nullable=False),
        sa.Column("high", WHOLE, nullable=False),
        sa.Column("low", WHOLE, nullable=False),
        sa.Column("last_transfer", WHOLE, nullable=False),
        sa.CheckConstraint(
            "high >= 0 AND low >= 0 AND low < 1000000000000000000",
            name="hold_below_zero",
        ),
        sa.ForeignKeyConstraint(["debit"], ["accounts.name"]),
        sa.ForeignKeyConstraint(["credit"], ["accounts.name"]),
    )
    op.create_table(
        "transfers",
        sa.Column("id", WHOLE, nullable=False, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("debit", sa.String(), nullable=False),
        sa.Column("credit", sa.String(), nullable=False),
        sa.Column("high", WHOLE, nullable=False),
        sa.Column("low", WHOLE, nullable=False),
        sa.Column("hold", sa.String(), nullable=True),
        sa.Column("reverses", WHOLE, nullable=True),
        sa.Column("lease", sa.String(), nullable=True),
        sa.Column("block_hash", sa.String(), nullable=False),
        sa.Column("block_number", WHOLE, nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        sa.Column("log_index", WHOLE, nullable=False),
        sa.Column("leg", WHOLE, nullable=False),
        sa.Column("transaction_hash", sa.String(), nullable=False),
        sa.CheckConstraint(
            "high >= 0 AND low >= 0 AND low < 1000000000000000000 AND high + low > 0",
            name="transfer_amount",
        ),
        sa.CheckConstraint(
            "debit <> credit",
            name="transfer_between_two",
        ),
        sa.CheckConstraint(
            "(kind = 'direct') = (hold IS NULL)",
            name="transfer_hold",
        ),
        sa.CheckConstraint(
            "kind IN ('direct', 'pending', 'post', 'void', 'restore')",
            name="transfer_kind",
        ),
        sa.ForeignKeyConstraint(["debit"], ["accounts.name"]),
        sa.ForeignKeyConstraint(["credit"], ["accounts.name"]),
        sa.UniqueConstraint("reverses", "kind", name="transfer_reversed_once"),
    )
    op.create_index("ix_transfers_credit", "transfers", ["credit"], unique=False)
    op.create_index("ix_transfers_debit", "transfers", ["debit"], unique=False)
    op.create_index("ix_transfers_hold", "transfers", ["hold"], unique=False)
    op.create_index("ix_transfers_lease", "transfers", ["lease"], unique=False)
    op.create_index("transfers_of_event", "transfers", ["block_hash", "log_index", "leg"], unique=False)
    op.create_table(
        "unlocks",
        sa.Column("account", sa.String(), nullable=False, primary_key=True),
        sa.Column("at", WHOLE, nullable=False),
    )


def _usage_lines() -> None:
    op.drop_table("usage_lines")
    op.create_table(
        "usage_lines",
        sa.Column("seq", WHOLE, nullable=False, primary_key=True),
        sa.Column("lease", sa.String(), nullable=False),
        sa.Column("sequence", WHOLE, nullable=True),
        sa.Column("evidence", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
    )
    op.create_index("ix_usage_lines_evidence", "usage_lines", ["evidence"], unique=False)
    op.create_index("ix_usage_lines_lease", "usage_lines", ["lease"], unique=False)
    op.create_index("ix_usage_lines_lease_sequence", "usage_lines", ["lease", "sequence"], unique=True)


def _outbox() -> None:
    with op.batch_alter_table("attempts") as attempts:
        attempts.add_column(sa.Column("seen_number", WHOLE, nullable=True))
        attempts.add_column(sa.Column("seen_hash", sa.String(), nullable=True))
        attempts.add_column(sa.Column("decided", sa.String(), nullable=True))
        attempts.add_column(sa.Column("cost", sa.String(), nullable=True))
    op.create_index("ix_attempts_seen_number", "attempts", ["seen_number"], unique=False)
    op.create_table(
        "senders",
        sa.Column("sender", sa.String(), nullable=False, primary_key=True),
        sa.Column("generation", WHOLE, nullable=False),
    )
    op.create_table(
        "gas",
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("day", WHOLE, nullable=False),
        sa.Column("wei", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("sender", "day"),
    )


def _writers() -> None:
    op.create_table(
        "writers",
        sa.Column("id", WHOLE, nullable=False, primary_key=True, autoincrement=False),
        sa.Column("term", WHOLE, nullable=False),
        sa.Column("url", sa.String(), nullable=False),
    )
