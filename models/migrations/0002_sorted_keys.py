"""Sorted indexes for the search, with the sound codes of names. `loyalty db upgrade` fills the codes afterwards."""

from peewee import CharField, Database
from playhouse.migrate import SchemaMigrator

from models.expanding import add_column, add_index, drop_index

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
atomic = False


def up(migrator: SchemaMigrator, db: Database) -> None:
    """Add the codes, and change the indexes: each search of the release before has one among the new ones, too."""
    for column in ("first_name_code", "last_name_code"):
        add_column(migrator, "member", column, CharField(null=True, max_length=64))
    for columns in NEW:
        add_index(migrator, "member", ("program_id", *columns))
    for columns in OLD:
        drop_index(migrator, "member", ("program_id", *columns))
