"""Which of the two databases a statement is for: rules are written in each one's own words."""

from typing import Literal

from sqlalchemy import Connection

Dialect = Literal["sqlite", "postgresql"]


def dialect_of(connection: Connection) -> Dialect:
    """The database at the other end."""
    return "sqlite" if connection.dialect.name == "sqlite" else "postgresql"
