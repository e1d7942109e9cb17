"""Tickets that were forgotten."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "forgotten",
        sa.Column("ticket", sa.String(64), primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
