"""Closed tickets that the desk finds similar ones in."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "closed_tickets",
        sa.Column("id", sa.String(26), primary_key=True),
        sa.Column("bundle", sa.String(64), nullable=False),
        sa.Column("ticket", sa.String(200)),
        sa.Column("department", sa.Text, nullable=False),
        sa.Column("vector", sa.Text, nullable=False),
        sa.Column("text", sa.Text),
        sa.Column("answer", sa.Text),
    )
    op.create_index("closed_tickets_bundle", "closed_tickets", ["bundle", "id"])
    op.create_index("closed_tickets_ticket", "closed_tickets", ["ticket"])
