"""The epochs that the matcher publishes, and their pages."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "bundles",
        sa.Column("seq", WHOLE, nullable=False, primary_key=True),
        sa.Column("root", sa.String(), nullable=False, unique=True),
        sa.Column("header", sa.LargeBinary(), nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        sa.Column("matches", WHOLE, nullable=False),
        sa.Column("kept", sa.Boolean(), nullable=False),
    )
    op.create_index("ix_bundles_at", "bundles", ["at"])
    op.create_table(
        "bundle_pages",
        sa.Column("hash", sa.String(), nullable=False, primary_key=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("size", WHOLE, nullable=False),
        sa.Column("last", WHOLE, nullable=True),
    )
    op.create_index("ix_bundle_pages_last", "bundle_pages", ["last"])
