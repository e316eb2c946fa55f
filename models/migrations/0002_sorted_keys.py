"""Sorted indexes for the search, with the sound codes of names. `loyalty db upgrade` fills the codes afterwards."""

from peewee import CharField, Database
from playhouse.migrate import SchemaMigrator

OLD: tuple[tuple[str, ...], ...] = (
    ("last_name_key", "first_name_key"),
    ("last_name_key", "city_key"),
    ("last_name_key", "postal_code_key"),
)
NEW: tuple[tuple[str, ...], ...] = (
    ("last_name_code", "first_name_code", "last_name_key", "first_name_key", "city_key"),
    ("postal_code_key", "last_name_key", "first_name_key"),
    ("city_key", "last_name_key", "first_name_key"),
    ("first_name_key", "postal_code_key", "last_name_key"),
    ("first_name_key", "city_key", "last_name_key"),
)


def up(migrator: SchemaMigrator, db: Database) -> None:
    """Add the codes, and change the indexes."""
    for column in ("first_name_code", "last_name_code"):
        migrator.migrate(migrator.add_column("member", column, CharField(null=True, max_length=64)))
    for columns in OLD:
        migrator.migrate(migrator.drop_index("member", f"member_program_id_{'_'.join(columns)}"))
    for columns in NEW:
        migrator.migrate(migrator.add_index("member", ("program_id", *columns)))
