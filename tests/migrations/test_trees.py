"""Both trees go up, down and up again, and a database that did so is the same as a fresh one."""

from collections.abc import Iterator

import psycopg
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.dialects.postgresql import DOMAIN, dialect
from sqlalchemy.engine import make_url
from sqlalchemy.schema import MetaData

import market_service.scan.assembly
import trade_service.app
from migrations.apply import Tree, configuration, downgrade, upgrade
from tests.fixtures.database import Cluster, Database
from trade_service.store.tables import METADATA

DEFAULT_COLLATION = ' COLLATE "default"'
"""SQLAlchemy tells it of a domain, and of no column."""

# Everything a migration makes, as text: names, definitions, rights.
CATALOGUE = """
SELECT 'column ' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable
    || ' ' || coalesce(column_default, '') || ' ' || coalesce(domain_name, '')
    || ' ' || coalesce(generation_expression, '')
FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT 'constraint ' || conrelid::regclass || contypid::regtype || ' ' || conname
    || ' ' || pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT 'trigger ' || pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'function ' || pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT 'policy ' || tablename || ' ' || policyname || ' ' || roles::text || ' ' || cmd || ' '
    || coalesce(qual, '') || ' ' || coalesce(with_check, '') FROM pg_policies
UNION ALL SELECT 'security ' || relname || ' ' || relrowsecurity || ' ' || relforcerowsecurity
FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
UNION ALL SELECT 'table right ' || c.relname || ' ' || a.grantee::regrole || ' ' || a.privilege_type
FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace = 'public'::regnamespace
UNION ALL SELECT 'column right ' || c.relname || '.' || t.attname || ' ' || a.grantee::regrole || ' '
    || a.privilege_type
FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) a
WHERE c.relnamespace = 'public'::regnamespace
UNION ALL SELECT 'schema right ' || CASE a.grantee WHEN 0 THEN 'public' ELSE a.grantee::regrole::text END || ' '
    || a.privilege_type
FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname = 'public'
"""

TREES: tuple[Tree, ...] = ("trade", "market")


def catalogue(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {row[0] for row in connection.execute(CATALOGUE)}


@pytest.fixture(params=TREES)
def migrated(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Database]:
    with cluster.migrated(request.param) as name:
        yield Database(cluster, name, request.param)


def test_down_and_up_again_gives_what_a_fresh_database_has(migrated: Database) -> None:
    fresh = catalogue(migrated.owner)
    downgrade(migrated.owner, migrated.tree)
    bare = catalogue(migrated.owner)
    assert [entry for entry in bare if "alembic_version" not in entry and not entry.startswith("schema right")] == []
    assert not any("trade_service" in entry or "market_service" in entry for entry in bare)
    upgrade(migrated.owner, migrated.tree)
    assert catalogue(migrated.owner) == fresh
    assert len(fresh) > len(bare)


def test_going_up_twice_changes_nothing(migrated: Database) -> None:
    fresh = catalogue(migrated.owner)
    upgrade(migrated.owner, migrated.tree)
    assert catalogue(migrated.owner) == fresh


def test_each_service_demands_the_newest_revision_of_its_tree() -> None:
    heads = {tree: ScriptDirectory.from_config(configuration(tree)).get_current_head() for tree in TREES}
    assert heads == {"trade": trade_service.app.SCHEMA, "market": market_service.scan.assembly.SCHEMA}


def test_each_deployment_has_an_id_of_its_own(cluster: Cluster) -> None:
    ids = set()
    for _ in range(2):
        with cluster.migrated("trade") as name, psycopg.connect(cluster.url(name)) as connection:
            ids |= set(connection.execute("SELECT deployment_id FROM deployment").fetchall())
    assert len(ids) == 2


def test_the_columns_that_lists_use_are_those_of_the_schema(trade_database: Database) -> None:
    found = MetaData()
    engine = create_engine(make_url(trade_database.owner).set(drivername="postgresql+psycopg"))
    found.reflect(engine)
    engine.dispose()
    for table in METADATA.tables.values():
        for column in table.columns:
            actual = found.tables[table.name].columns[column.name]
            held = actual.type.data_type if isinstance(actual.type, DOMAIN) else actual.type
            ours, theirs = (one.compile(dialect()) for one in (column.type, held))  # type: ignore[no-untyped-call]
            assert (table.name, column.name, ours) == (table.name, actual.name, theirs.removesuffix(DEFAULT_COLLATION))
