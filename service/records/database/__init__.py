"""The database of the record: its tables, their migrations, and the connections to SQLite or PostgreSQL."""
