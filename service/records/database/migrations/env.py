"""Run by Alembic for each upgrade. `migrate.py` passes the connection, whose transaction it begins and commits."""

from alembic import context

from service.records.database.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
