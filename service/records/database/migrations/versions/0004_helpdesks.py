"""Deliveries of helpdesks, what is to be written there, and what was."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_ID = sa.String(26)
_CONNECTION = sa.String(32)
_TICKET_ID = sa.String(200)


def upgrade() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("connection", _CONNECTION, nullable=False),
        sa.Column("delivery", sa.String(220), nullable=False),
        sa.Column("ticket", _TICKET_ID),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(100), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("connection", "delivery", name="deliveries_once"),
    )
    op.create_index("deliveries_ticket", "deliveries", ["ticket"])
    op.create_table(
        "outbox",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("connection", _CONNECTION, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("ticket", _TICKET_ID, nullable=False),
        sa.Column("decision_id", _ID, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("not_before", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("result", sa.String(32)),
        sa.Column("last_error", sa.String(200)),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("outbox_due", "outbox", ["state", "not_before"])
    op.create_index("outbox_ticket", "outbox", ["ticket"])
    op.create_table(
        "writes",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("connection", _CONNECTION, nullable=False),
        sa.Column("ticket", _TICKET_ID, nullable=False),
        sa.Column("field", sa.String(100), nullable=False),
        sa.Column("previous", sa.Text),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("writes_ticket", "writes", ["ticket", "field"])
    op.create_table(
        "marks",
        sa.Column("connection", _CONNECTION, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
