"""What the columns of the trade database take, whoever writes: each kind of value, at its edges."""

import psycopg
import pytest
from psycopg import sql

from tests.fixtures.database import Database
from tests.migrations import rows

REFUSED = {
    "users.user_id": ("Alice", "", "-a", "a" * 64),
    "users.event_number": (-1,),
    "trade_proposals.side": ("buy",),
    "trade_proposals.order_type": ("STOP",),
    "trade_proposals.amount": (0, -1),
    "trade_proposals.price": (0,),
    "trade_proposals.quote_amount": (0,),
    "trade_proposals.time_in_force": ("GTD",),
    "trade_proposals.confidence": (-1, 101),
    "trade_proposals.cancel_after": ("0 s", "-1 s"),
    "trade_proposals.content_hash": ("0" * 63, "G" * 64),
    "decisions.outcome": ("allow",),
    "trade_executions.worst_value": (0,),
    "trade_executions.operator_id": (0,),
    "trade_executions.signed_timestamp_ms": (0,),
    "trade_executions.window_ms": (99, 60001),
    "trade_executions.filled_amount": (-1,),
    "trade_executions.filled_quote": (-1,),
    "trade_history.side": ("SHORT",),
    "trade_history.amount": (0,),
    "trade_history.price": (0,),
    "gpt_usage_log.input_tokens": (-1,),
    "gpt_usage_log.output_tokens": (-1,),
    "gpt_usage_log.cost": (-1,),
    "policies.sha256": ("0" * 65,),
    "policy_sets.generation": (0,),
    "trading_state.generation": (0,),
}
A_POLICY = """
INSERT INTO policies (sha256, name, users, canonical_json) VALUES (repeat('0', 64), 'tested', '{}', '{}');
INSERT INTO policy_sets (generation, sha256s, actor) VALUES (1, '{}', 'test');
"""


@pytest.mark.parametrize("column", REFUSED)
def test_a_value_of_the_wrong_kind_is_refused(trade_database: Database, column: str) -> None:
    table, name = column.split(".")
    change = sql.SQL("UPDATE {} SET {} = %s").format(sql.Identifier(table), sql.Identifier(name))
    with psycopg.connect(trade_database.admin) as connection:
        rows.whole_user(connection, "alice")
        connection.execute(A_POLICY)
        for value in REFUSED[column]:
            with pytest.raises(psycopg.errors.CheckViolation) as refused, connection.transaction():
                connection.execute(change, (value,))
            assert refused.value.diag.datatype_name, "refused by the row it would make, not by its own kind"
