"""What another precision target was asked for."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "recalibrations",
        sa.Column("id", sa.String(26), primary_key=True),
        sa.Column("bundle", sa.String(64), nullable=False),
        sa.Column("target", sa.Float, nullable=False),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
    )
