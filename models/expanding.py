"""What migrations do while the release before serves: steps that keep nobody waiting, and that can be done again.

A migration of such steps has `atomic = False` on Postgres, which builds an index beside the traffic only outside of a
transaction. If it is interrupted, the next upgrade does it again, and passes over what is there. On SQLite all
migrations are one transaction all the same.
"""

import peewee
from playhouse.migrate import SchemaMigrator, make_index_name


def add_column(migrator: SchemaMigrator, table: str, column: str, field: peewee.Field) -> None:
    """Add a column, unless it is there; it must take null or have a default in the database."""
    if column not in {known.name for known in migrator.database.get_columns(table)}:
        migrator.migrate(migrator.add_column(table, column, field))


def add_index(migrator: SchemaMigrator, table: str, columns: tuple[str, ...]) -> None:
    """Add an index, unless it is there. One that an interrupted upgrade has left incomplete is built anew."""
    name, database = make_index_name(table, columns), migrator.database
    if isinstance(database, peewee.SqliteDatabase):
        database.execute_sql(f"CREATE INDEX IF NOT EXISTS {name} ON {table} ({', '.join(columns)})")
        return
    database.execute_sql("SET lock_timeout = 0")  # it waits for others, and they do not wait for it
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)"
    if database.execute_sql(valid, (name,)).fetchone() == (False,):
        database.execute_sql(f"DROP INDEX CONCURRENTLY {name}")
    database.execute_sql(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {table} ({', '.join(columns)})")
    database.execute_sql("RESET lock_timeout")


def drop_index(migrator: SchemaMigrator, table: str, columns: tuple[str, ...]) -> None:
    """Drop an index, if it is there."""
    migrator.database.execute_sql(f"DROP INDEX IF EXISTS {make_index_name(table, columns)}")
