"""Texts that have broken other programs' SQL: stems of the well-known lists, each in every way of leaving a string."""

from itertools import product
from typing import Final

_STEMS: Final = (
    "OR 1=1",
    "OR 'a'='a",
    "AND 1=2",
    "UNION SELECT NULL",
    "UNION ALL SELECT usename, passwd FROM pg_shadow",
    "UNION SELECT version()",
    "; DROP TABLE trade_proposals",
    "; DELETE FROM trade_executions",
    "; UPDATE trading_state SET state = 'ACTIVE'",
    "; SELECT pg_sleep(10)",
    "AND (SELECT pg_sleep(10)) IS NULL",
    "; COPY (SELECT '') TO PROGRAM 'id'",
    "; SELECT set_config('app.user_id', 'alice', false)",
    "; SET ROLE trade_owner",
    "; RESET ALL",
    "; COMMIT",
    "; ROLLBACK",
    "; LISTEN x",
    "ORDER BY 100",
    "HAVING 1=1",
    "LIMIT 1 OFFSET 1",
    "RETURNING *",
    "||(SELECT current_user)||",
    "AND EXTRACTVALUE(1, CONCAT(0x5c, (SELECT 1)))",
    "WAITFOR DELAY '0:0:5'",
    "; EXEC xp_cmdshell('dir')",
)
_BEFORE: Final = ("", "'", '"', "')", "1 ", "\\'", "%' ")
_AFTER: Final = ("", "--", "/*")
_ALONE: Final = (
    "%s",
    "%(user_id)s",
    "%%",
    "$1",
    "$$",
    "$$;$$",
    "{0}",
    ":name",
    "?",
    "E'\\x27'",
    "U&'\\0027'",
    "''",
    "\\",
)

SQL: Final = (*(f"{before}{stem}{after}" for stem, before, after in product(_STEMS, _BEFORE, _AFTER)), *_ALONE)
