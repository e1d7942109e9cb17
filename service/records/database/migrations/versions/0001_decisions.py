"""Decisions, feedback and texts."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.String(26)
_DIGEST = sa.String(64)
_TICKET_ID = sa.String(200)


def upgrade() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("caller", sa.String(63), nullable=False),
        sa.Column("idempotency_key", sa.String(300)),
        sa.Column("request_digest", _DIGEST, nullable=False),
        sa.Column("ticket_id", _TICKET_ID),
        sa.Column("text_digest", _DIGEST, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(100), nullable=False),
        sa.Column("department", sa.Text),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("fields", sa.Text, nullable=False),
        sa.Column("flags", sa.Text, nullable=False),
        sa.Column("rule", sa.Text),
        sa.Column("bundle", sa.String(64), nullable=False),
        sa.Column("variant", sa.String(16), nullable=False),
        sa.Column("latency_ms", sa.Float, nullable=False),
        sa.Column("holdout", sa.Boolean, nullable=False),
        sa.Column("response", sa.Text, nullable=False),
        sa.UniqueConstraint("caller", "idempotency_key", name="decisions_once"),
    )
    op.create_index("decisions_ticket", "decisions", ["ticket_id"])
    op.create_index("decisions_outcome", "decisions", ["outcome", "id"])
    op.create_table(
        "feedback",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("decision_id", _ID),
        sa.Column("ticket_id", _TICKET_ID),
        sa.Column("field", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("who", _DIGEST),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("feedback_decision", "feedback", ["decision_id"])
    op.create_index("feedback_ticket", "feedback", ["ticket_id"])
    op.create_table(
        "texts",
        sa.Column("decision_id", _ID, primary_key=True),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
