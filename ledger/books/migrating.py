"""Alembic at its door: the migrations of this package, on the transaction of whoever opens older books."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def upgrade(connection: Connection, known: str, wanted: str) -> None:
    """Migrate from the revision `known`, which the books have though they may not say so, to `wanted`."""
    config = configuration(connection)
    command.stamp(config, known)
    command.upgrade(config, wanted)


def configuration(connection: Connection) -> Config:
    """Alembic's settings, without a file of its own: an installed package has no working directory."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "ledger.books:migrations")
    return config
