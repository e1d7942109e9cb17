"""The decisions on record: each is acknowledged after its commit, and given once however often it is asked for.

`app.py` creates one `Records` (`records.py`) unless the setting is `off`; the API calls `once` for each ticket.

    Records.start/stop                 lock, migrate, connect; commit what is queued, close
    Records.check()                    RecordsUnavailable before any work, while decisions could not be recorded
    Records.once(identity, deadline, decide) -> Stored      the decision of a request, committed
    Records.write(work) -> T           work(Connection) in a transaction of its own, on the one writing connection
    Records.read(query) -> T           query(Connection) on a connection apart

Whatever else writes (feedback, retention, forgetting) goes through `write`; a transaction should take milliseconds,
since tickets wait for the same thread: delete in portions. `database/schema.py` has the tables, `store.py` the inserts,
and `first_id` turns a time into a bound of ids. A change of the schema is a file in `database/migrations/versions` and
the new `migrate.HEAD`; it only adds, because services of the previous version go on writing.

    identity   what makes a request a repetition      writer     the one thread that commits
    rows       Decision → row, row → record           spool      the file for the time without a database
    store      the statements                         database   tables, migrations, SQLite and PostgreSQL
"""
