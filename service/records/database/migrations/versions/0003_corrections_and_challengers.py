"""The thread of a ticket, switches of automation, and the bundles beside the serving one with their verdicts."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ID = sa.String(26)
_DIGEST = sa.String(64)


def upgrade() -> None:
    # Nullable without a default: services of the previous version insert rows without them.
    op.add_column("decisions", sa.Column("thread", _DIGEST))
    op.add_column("decisions", sa.Column("role", sa.String(16)))
    op.create_index("decisions_thread", "decisions", ["thread"])
    op.add_column("feedback", sa.Column("thread", _DIGEST))
    op.create_index("feedback_thread", "feedback", ["thread"])
    op.add_column("feedback", sa.Column("routed_by", _ID))
    op.add_column("feedback", sa.Column("routed_to", sa.Text))
    op.create_index("feedback_routed", "feedback", ["field", "routed_to", "id"])
    op.create_table(
        "automation",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("field", sa.Text, nullable=False),
        sa.Column("selector", sa.Text, nullable=False),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
    )
    op.create_table(
        "challengers",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("bundle", sa.String(64), nullable=False),
        sa.Column("share", sa.Float, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
    )
    op.create_table(
        "shadow_verdicts",
        sa.Column("decision_id", _ID, primary_key=True),
        sa.Column("bundle", sa.String(64), nullable=False),
        sa.Column("variant", sa.String(16), nullable=False),
        sa.Column("fields", sa.Text, nullable=False),
    )
