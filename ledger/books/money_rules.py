"""Double entry enforced by the database: no code of ours can change a transfer, or move money without one.

A transfer names a debited and a credited account, so debits equal credits by its shape. Triggers number
transfers without gaps, refuse to change or delete one, post an event once, and have reversals mirror what
they reverse; they alone move the totals of accounts and holds, whose checks refuse to go below zero.
"""

# ruff: noqa: S608 - the statements are made of this module's own constants

from typing import Final

from ledger.books.dialect import Dialect
from ledger.books.money_tables import TOTALS, UNIT

_GUARDED: Final = ("transfers", "accounts", "holds")
_PENDING_SIGN: Final = (
    "CASE NEW.kind WHEN 'pending' THEN 1 WHEN 'restore' THEN 1 WHEN 'post' THEN -1 WHEN 'void' THEN -1 "
    "ELSE 0 END"
)
_POSTED_SIGN: Final = "CASE NEW.kind WHEN 'direct' THEN 1 WHEN 'post' THEN 1 ELSE 0 END"
_MIRRORED: Final = """
    (NEW.kind = 'direct' AND t.kind IN ('direct', 'post') AND t.debit = NEW.credit AND t.credit = NEW.debit)
    OR (t.debit = NEW.debit AND t.credit = NEW.credit AND t.hold = NEW.hold
        AND ((NEW.kind = 'void' AND t.kind = 'pending')
            OR (NEW.kind = 'restore' AND t.kind IN ('post', 'void'))))
"""
_REFUSED: Final = (
    (
        "transfers are numbered without gaps",
        "NEW.id <> (SELECT COALESCE(MAX(id), 0) + 1 FROM transfers)",
    ),
    (
        "an event is posted once",
        """NEW.reverses IS NULL AND EXISTS (SELECT 1 FROM transfers t WHERE t.block_hash = NEW.block_hash
        AND t.log_index = NEW.log_index AND t.leg = NEW.leg AND t.reverses IS NULL
        AND NOT EXISTS (SELECT 1 FROM transfers r WHERE r.reverses = t.id))""",
    ),
    (
        "a reversal mirrors one transfer",
        f"""NEW.reverses IS NOT NULL AND NOT EXISTS (SELECT 1 FROM transfers t WHERE t.id = NEW.reverses
        AND t.reverses IS NULL AND t.high = NEW.high AND t.low = NEW.low AND ({_MIRRORED}))""",
    ),
    (
        "only a reversal restores a hold",
        "NEW.kind = 'restore' AND NEW.reverses IS NULL",
    ),
    (
        "a hold is posted or voided between its own accounts",
        """NEW.kind IN ('post', 'void', 'restore') AND NOT EXISTS (SELECT 1 FROM holds h
        WHERE h.name = NEW.hold AND h.debit = NEW.debit AND h.credit = NEW.credit)""",
    ),
    (
        "a hold is used up before it is made anew",
        """NEW.kind = 'pending' AND EXISTS (SELECT 1 FROM holds h
        WHERE h.name = NEW.hold AND h.high + h.low > 0)""",
    ),
)


def _moved(column: str, sign: str) -> str:
    """Assignments that add the transfer's amount, times `sign`, to a pair of columns, with the carry."""
    low = f"({column}low + ({sign}) * NEW.low + {UNIT})"
    return (
        f"{column}high = {column}high + ({sign}) * NEW.high + {low} / {UNIT} - 1, "
        f"{column}low = {low} - {low} / {UNIT} * {UNIT}"
    )


def _opened(side: str) -> str:
    zeros = ", ".join(f"{total}_{half}" for total in TOTALS for half in ("high", "low"))
    return (
        f"INSERT INTO accounts (name, unbounded, {zeros}, last_transfer) "
        f"SELECT NEW.{side}, substr(NEW.{side}, 1, 7) = 'wallet:'{', 0' * (2 * len(TOTALS) + 1)} "
        f"WHERE NOT EXISTS (SELECT 1 FROM accounts WHERE name = NEW.{side})"
    )


def _totalled(side: str) -> str:
    pending, posted = _moved(f"{side}s_pending_", _PENDING_SIGN), _moved(f"{side}s_posted_", _POSTED_SIGN)
    return f"UPDATE accounts SET {pending}, {posted}, last_transfer = NEW.id WHERE name = NEW.{side}"


_HOLDS: Final = (
    "INSERT INTO holds (name, debit, credit, high, low, last_transfer) "
    "SELECT NEW.hold, NEW.debit, NEW.credit, 0, 0, 0 "
    "WHERE NEW.kind = 'pending' AND NOT EXISTS (SELECT 1 FROM holds WHERE name = NEW.hold)",
    f"UPDATE holds SET {_moved('', _PENDING_SIGN)}, debit = NEW.debit, credit = NEW.credit, "
    "last_transfer = NEW.id WHERE name = NEW.hold",
)
_BEFORE: Final = (_opened("debit"), _opened("credit"))
_AFTER: Final = (_totalled("debit"), _totalled("credit"), *_HOLDS)


def _unless_moved(table: str, touches: str) -> tuple[str, str]:
    """Totals move with a newer transfer that touches the row, and with nothing else."""
    return (
        f"{table} follow their transfers",
        f"""NEW.name <> OLD.name OR NEW.last_transfer <= OLD.last_transfer OR NOT EXISTS (
        SELECT 1 FROM transfers t WHERE t.id = NEW.last_transfer AND {touches})""",
    )


_ZERO_SUM: Final = " + ".join(f"NEW.{total}_{half}" for total in TOTALS for half in ("high", "low"))
_GUARDS: Final = (
    (
        "accounts",
        "UPDATE",
        _unless_moved("accounts", "(t.debit = NEW.name OR t.credit = NEW.name)"),
    ),
    ("accounts", "INSERT", ("an account begins with nothing", f"{_ZERO_SUM} + NEW.last_transfer <> 0")),
    ("holds", "UPDATE", _unless_moved("holds", "t.hold = NEW.name")),
    ("holds", "INSERT", ("a hold begins with nothing", "NEW.high + NEW.low + NEW.last_transfer <> 0")),
)
_KEPT: Final = (
    ("transfers", "UPDATE"),
    ("transfers", "DELETE"),
    ("accounts", "DELETE"),
    ("holds", "DELETE"),
)


def rules(dialect: Dialect) -> tuple[str, ...]:
    """The statements that make the money's rules, to be run once where its tables were made."""
    return _sqlite_rules() if dialect == "sqlite" else _postgresql_rules()


def lifted(dialect: Dialect) -> tuple[str, ...]:
    """The statements that take the rules away, for a rebuild that empties the tables and makes them again
    in the same transaction."""
    if dialect == "sqlite":
        return tuple(f"DROP TRIGGER IF EXISTS {name}" for name in _sqlite_triggers())
    return tuple(f"DROP FUNCTION IF EXISTS {name}() CASCADE" for name in _postgresql_functions())


def _sqlite_triggers() -> dict[str, str]:
    checks = "; ".join(f"SELECT RAISE(ABORT, '{said}') WHERE {wrong}" for said, wrong in _REFUSED)
    made = {
        "transfers_checked": f"BEFORE INSERT ON transfers BEGIN {checks}; {'; '.join(_BEFORE)}; END",
        "transfers_totalled": f"AFTER INSERT ON transfers BEGIN {'; '.join(_AFTER)}; END",
    }
    for table, verb in _KEPT:
        refusal = f"SELECT RAISE(ABORT, '{table} are append-only')"
        made[f"{table}_no_{verb.lower()}"] = f"BEFORE {verb} ON {table} BEGIN {refusal}; END"
    for table, verb, (said, wrong) in _GUARDS:
        check = f"SELECT RAISE(ABORT, '{said}') WHERE {wrong}"
        made[f"{table}_on_{verb.lower()}"] = f"BEFORE {verb} ON {table} BEGIN {check}; END"
    return made


def _sqlite_rules() -> tuple[str, ...]:
    return tuple(f"CREATE TRIGGER {name} {body}" for name, body in _sqlite_triggers().items())


def _raised(said: str) -> str:
    return f"RAISE EXCEPTION '{said}' USING ERRCODE = 'integrity_constraint_violation';"


def _checked(said: str, wrong: str) -> str:
    return f"IF {wrong} THEN {_raised(said)} END IF;"


def _postgresql_functions() -> dict[str, tuple[str, str]]:
    """Each trigger function's body, and when it is called."""
    checks = " ".join(_checked(said, wrong) for said, wrong in _REFUSED)
    before, after = (" ".join(f"{one};" for one in made) for made in (_BEFORE, _AFTER))
    made = {
        "transfers_checked": (f"{checks} {before} RETURN NEW;", "BEFORE INSERT ON transfers FOR EACH ROW"),
        "transfers_totalled": (f"{after} RETURN NULL;", "AFTER INSERT ON transfers FOR EACH ROW"),
    }
    for table, verb in _KEPT:
        refusal = _raised(f"{table} are append-only")
        made[f"{table}_no_{verb.lower()}"] = (refusal, f"BEFORE {verb} ON {table} FOR EACH ROW")
    for table in _GUARDED:
        refusal = _raised(f"{table} are append-only")
        made[f"{table}_no_truncate"] = (refusal, f"BEFORE TRUNCATE ON {table} FOR EACH STATEMENT")
    for table, verb, (said, wrong) in _GUARDS:
        body = f"{_checked(said, wrong)} RETURN NEW;"
        made[f"{table}_on_{verb.lower()}"] = (body, f"BEFORE {verb} ON {table} FOR EACH ROW")
    return made


def _postgresql_rules() -> tuple[str, ...]:
    statements: list[str] = []
    for name, (body, when) in _postgresql_functions().items():
        statements.append(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$"
        )
        statements.append(f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION {name}()")
    return tuple(statements)
