"""What people decide in the desk, its queue, and the texts as they were before anything was cut."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_ID = sa.String(26)
_LEFT = sa.text("outcome <> 'route' AND settled IS NULL")
_STANDS = sa.text("state <> 'undone'")


def upgrade() -> None:
    # Nullable without a default: services of the previous version insert rows without them.
    op.add_column("decisions", sa.Column("best", sa.Text))
    op.add_column("decisions", sa.Column("settled", sa.Boolean))
    op.add_column("texts", sa.Column("original", sa.Text))
    for name, columns in (
        ("decisions_left", ["id"]),
        ("decisions_surest", ["confidence", "id"]),
        ("decisions_best", ["best", "id"]),
        ("decisions_kinds", ["reason", "id", "best", "ticket_id", "outcome", "settled"]),
    ):
        op.create_index(name, "decisions", columns, sqlite_where=_LEFT, postgresql_where=_LEFT)
    # The newest decision of a ticket is asked for of every open one: without the id each is read.
    op.create_index("decisions_of_ticket", "decisions", ["ticket_id", "id"])
    op.drop_index("decisions_ticket", "decisions")
    op.create_table(
        "reviews",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("decision_id", _ID, nullable=False),
        sa.Column("fields", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("outbox_id", _ID),
        sa.Column("error", sa.String(200)),
    )
    op.create_index(
        "reviews_once", "reviews", ["decision_id"], unique=True, sqlite_where=_STANDS, postgresql_where=_STANDS
    )
    op.create_index("reviews_state", "reviews", ["state", "id"])
