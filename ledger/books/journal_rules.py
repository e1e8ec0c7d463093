"""The journal refuses to be changed by the database itself, so that no code of ours can rewrite history."""

from typing import Final

from ledger.books.dialect import Dialect

_REFUSAL: Final = "the journal is append-only"
_SQLITE: Final = tuple(
    f"CREATE TRIGGER journal_no_{verb.lower()} BEFORE {verb} ON journal "
    f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
    for verb in ("UPDATE", "DELETE")
)
_POSTGRESQL: Final = (
    "CREATE FUNCTION journal_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    f"RAISE EXCEPTION '{_REFUSAL}' USING ERRCODE = 'integrity_constraint_violation'; END $$",
    "CREATE TRIGGER journal_no_change BEFORE UPDATE OR DELETE ON journal "
    "FOR EACH ROW EXECUTE FUNCTION journal_is_append_only()",
    "CREATE TRIGGER journal_no_truncate BEFORE TRUNCATE ON journal "
    "FOR EACH STATEMENT EXECUTE FUNCTION journal_is_append_only()",
)


def rules(dialect: Dialect) -> tuple[str, ...]:
    """The statements that make the journal append-only, to be run once where its table was made."""
    return _SQLITE if dialect == "sqlite" else _POSTGRESQL


def lifted(dialect: Dialect) -> tuple[str, ...]:
    """The statements that take the rules away, for a migration that makes them again before it commits."""
    if dialect == "sqlite":
        return tuple(f"DROP TRIGGER IF EXISTS journal_no_{verb}" for verb in ("update", "delete"))
    return ("DROP FUNCTION IF EXISTS journal_is_append_only() CASCADE",)
