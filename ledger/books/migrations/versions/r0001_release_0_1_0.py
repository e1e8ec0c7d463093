"""The books of release 0.1.0, which stamped no revision: where every other revision starts.

Numbers are 64 bits wide from here on; release 0.1.0 knew SQLite alone, whose INTEGER has them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "journal",
        sa.Column("seq", WHOLE, nullable=False, primary_key=True),
        sa.Column("at", WHOLE, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("slot", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
    )
    op.create_index("ix_journal_slot", "journal", ["slot"], unique=False)
    op.create_table(
        "blocks",
        sa.Column("hash", sa.String(), nullable=False, primary_key=True),
        sa.Column("number", WHOLE, nullable=False),
        sa.Column("seq", WHOLE, nullable=False),
    )
    op.create_index("ix_blocks_number", "blocks", ["number"], unique=False)
    op.create_table(
        "events",
        sa.Column("seq", WHOLE, nullable=False, primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("block_number", WHOLE, nullable=False),
        sa.Column("block_hash", sa.String(), nullable=False),
        sa.Column("block_parent", sa.String(), nullable=False),
        sa.Column("block_at", WHOLE, nullable=False),
        sa.Column("log_index", WHOLE, nullable=False),
        sa.Column("transaction_hash", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("rewound", sa.Boolean(), nullable=False),
    )
    op.create_index("ix_events_block_hash", "events", ["block_hash"], unique=False)
    op.create_index("ix_events_subject", "events", ["subject"], unique=False)
    op.create_table(
        "postings",
        sa.Column("block_hash", sa.String(), nullable=False),
        sa.Column("log_index", WHOLE, nullable=False),
        sa.Column("leg", WHOLE, nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("amount", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("block_hash", "log_index", "leg"),
    )
    op.create_index("ix_postings_account", "postings", ["account"], unique=False)
    op.create_table(
        "balances",
        sa.Column("account", sa.String(), nullable=False, primary_key=True),
        sa.Column("amount", sa.String(), nullable=False),
    )
    op.create_table(
        "stakes",
        sa.Column("account", sa.String(), nullable=False, primary_key=True),
        sa.Column("free", sa.String(), nullable=False),
        sa.Column("queued", sa.String(), nullable=False),
        sa.Column("unlock_at", WHOLE, nullable=False),
    )
    op.create_table(
        "delegations",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("roles", WHOLE, nullable=False),
        sa.Column("allowance", sa.String(), nullable=False),
        sa.Column("until", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("account", "key"),
    )
    op.create_index("ix_delegations_key", "delegations", ["key"], unique=False)
    op.create_table(
        "market",
        sa.Column("id", WHOLE, nullable=False, primary_key=True, autoincrement=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("guardian", sa.String(), nullable=False),
        sa.Column("arbiter", sa.String(), nullable=False),
        sa.Column("jury", sa.String(), nullable=False),
        sa.Column("policy", sa.String(), nullable=False),
        sa.Column("paused_until", WHOLE, nullable=False),
    )
    op.create_table(
        "epochs",
        sa.Column("account", sa.String(), nullable=False, primary_key=True),
        sa.Column("epoch", sa.String(), nullable=False),
    )
    op.create_table(
        "offers",
        sa.Column("id", sa.String(), nullable=False, primary_key=True),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("offer", sa.String(), nullable=False),
        sa.Column("used", sa.String(), nullable=False),
        sa.Column("cancelled", sa.Boolean(), nullable=False),
    )
    op.create_index("ix_offers_provider", "offers", ["provider"], unique=False)
    op.create_table(
        "jobs",
        sa.Column("job", sa.String(), nullable=False, primary_key=True),
        sa.Column("sequence", WHOLE, nullable=False),
        sa.Column("buyer", sa.String(), nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("attempts", WHOLE, nullable=False),
        sa.Column("accepted_at", WHOLE, nullable=False),
        sa.Column("wait_until", WHOLE, nullable=False),
        sa.Column("delegate", sa.String(), nullable=False),
        sa.Column("reserve", sa.String(), nullable=False),
        sa.Column("withdrawn_code", sa.String(), nullable=True),
        sa.Column("withdrawn_cause", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("lease", sa.String(), nullable=True),
        sa.Column("members", sa.String(), nullable=False),
        sa.Column("next_attempt", WHOLE, nullable=False),
        sa.Column("excluded", sa.String(), nullable=False),
    )
    op.create_index("ix_jobs_buyer", "jobs", ["buyer"], unique=False)
    op.create_index("ix_jobs_sequence", "jobs", ["sequence"], unique=False)
    op.create_index("ix_jobs_state", "jobs", ["state"], unique=False)
    op.create_table(
        "bids",
        sa.Column("bid", sa.String(), nullable=False, primary_key=True),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("alternative", WHOLE, nullable=True),
        sa.Column("attempt", WHOLE, nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("signed", sa.String(), nullable=False),
        sa.Column("draw", sa.String(), nullable=True),
    )
    op.create_index("ix_bids_document", "bids", ["document"], unique=False)
    op.create_index("ix_bids_job", "bids", ["job"], unique=False)
    op.create_table(
        "leases",
        sa.Column("id", sa.String(), nullable=False, primary_key=True),
        sa.Column("offer", sa.String(), nullable=False),
        sa.Column("bid", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("buyer", sa.String(), nullable=False),
        sa.Column("signer", sa.String(), nullable=False),
        sa.Column("terms", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("job", sa.String(), nullable=True),
        sa.Column("attempt", WHOLE, nullable=False),
        sa.Column("member", WHOLE, nullable=False),
        sa.Column("continues", sa.String(), nullable=True),
        sa.Column("sequence", WHOLE, nullable=False),
        sa.Column("planned_at", WHOLE, nullable=True),
        sa.Column("skipped", WHOLE, nullable=True),
        sa.Column("agree", WHOLE, nullable=False),
        sa.Column("undecided", sa.Boolean(), nullable=False),
        sa.Column("commitment", sa.String(), nullable=True),
        sa.Column("result", sa.String(), nullable=True),
        sa.Column("verdict", sa.String(), nullable=True),
        sa.Column("start", WHOLE, nullable=True),
        sa.Column("escrow", sa.String(), nullable=False),
        sa.Column("paid", sa.String(), nullable=False),
        sa.Column("refunded", sa.String(), nullable=True),
        sa.Column("ended_after", WHOLE, nullable=True),
        sa.Column("terminated", sa.Boolean(), nullable=False),
        sa.Column("because", sa.String(), nullable=True),
        sa.Column("fee", sa.String(), nullable=False),
        sa.Column("settled_milliseconds", sa.String(), nullable=False),
        sa.Column("lock", sa.String(), nullable=False),
        sa.Column("burned", sa.String(), nullable=False),
        sa.Column("claimed", sa.String(), nullable=True),
        sa.Column("provider_bond", sa.String(), nullable=False),
        sa.Column("buyer_bond", sa.String(), nullable=False),
        sa.Column("claim_until", WHOLE, nullable=True),
        sa.Column("phase", sa.String(), nullable=True),
        sa.Column("exit_code", sa.String(), nullable=True),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("agent_lost_at", WHOLE, nullable=True),
        sa.Column("usage", sa.String(), nullable=True),
        sa.Column("usage_milliseconds", sa.String(), nullable=False),
        sa.Column("receipt", sa.String(), nullable=True),
        sa.Column("receipt_milliseconds", sa.String(), nullable=False),
        sa.Column("receipt_last", sa.Boolean(), nullable=False),
    )
    op.create_index("ix_leases_bid", "leases", ["bid"], unique=False)
    op.create_index("ix_leases_buyer", "leases", ["buyer"], unique=False)
    op.create_index("ix_leases_job", "leases", ["job"], unique=False)
    op.create_index("ix_leases_offer", "leases", ["offer"], unique=False)
    op.create_index("ix_leases_provider", "leases", ["provider"], unique=False)
    op.create_index("ix_leases_signer", "leases", ["signer"], unique=False)
    op.create_index("ix_leases_state", "leases", ["state"], unique=False)
    op.create_table(
        "usage_lines",
        sa.Column("seq", WHOLE, nullable=False, primary_key=True),
        sa.Column("lease", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
    )
    op.create_index("ix_usage_lines_lease", "usage_lines", ["lease"], unique=False)
    op.create_table(
        "outputs",
        sa.Column("lease", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("lease", "path"),
    )
    op.create_table(
        "documents",
        sa.Column("hash", sa.String(), nullable=False, primary_key=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "cursor",
        sa.Column("id", WHOLE, nullable=False, primary_key=True, autoincrement=False),
        sa.Column("block", sa.String(), nullable=False),
        sa.Column("tail", sa.String(), nullable=False),
    )
    op.create_table(
        "intents",
        sa.Column("id", WHOLE, nullable=False, primary_key=True),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("instruction", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.UniqueConstraint("key"),
    )
    op.create_index("ix_intents_kind", "intents", ["kind"], unique=False)
    op.create_index("ix_intents_state", "intents", ["state"], unique=False)
    op.create_table(
        "attempts",
        sa.Column("id", WHOLE, nullable=False, primary_key=True),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("nonce", WHOLE, nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("intents", sa.String(), nullable=False),
        sa.Column("max_fee", sa.String(), nullable=False),
        sa.Column("sent_at", WHOLE, nullable=False),
        sa.Column("in_flight", sa.Boolean(), nullable=False),
        sa.UniqueConstraint("hash"),
    )
    op.create_index("ix_attempts_in_flight", "attempts", ["in_flight"], unique=False)
    op.create_index("ix_attempts_nonce", "attempts", ["nonce"], unique=False)
    op.create_index("ix_attempts_sender", "attempts", ["sender"], unique=False)
