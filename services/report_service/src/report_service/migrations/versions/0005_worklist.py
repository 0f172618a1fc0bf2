"""Studies, series, instances and kinds of results apart from reports, and the indexes of the worklist (ADR 0019).

The identifiers of studies, series and kinds are digests of what they stand for, made here as
`domain/identifiers.py` makes them.
"""

# ruff: noqa: S608  # the pieces of SQL are constants of this file

import sqlalchemy as sa
from alembic import op

from radrelay_shared.database.migrations import enable_row_security

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_SCHEMA = "report"
_PLACE = ("urgency", "received_at", "report_id")
_MODEL = ("model_digest", "model_name", "model_version", "model_label", "model_intended_use")
_MOVED = (
    *("sop_instance_uid", "sop_class_uid", "study_instance_uid", "series_instance_uid", "modality", "body_part"),
    *("finding", "positive", "source_key", *_MODEL),
)
_PATIENT = ("patient_hash", "patient_sealed", "patient_due_at", "patient_attempts", "patient_fault")


def _digest(text: str) -> str:
    return f"encode(substring(sha256(convert_to({text}, 'UTF8')) FROM 1 FOR 16), 'hex')::uuid"


_STUDY_ID = _digest(r"tenant || E'\x1f' || owner_id || E'\x1f' || study_instance_uid")
_SERIES_ID = _digest(rf"{_STUDY_ID}::text || E'\x1f' || series_instance_uid")
_KIND_ID = _digest(
    "model_digest || length(modality) || ':' || modality || CASE WHEN positive THEN '+' ELSE '-' END || finding"
)


def upgrade() -> None:
    op.execute("ALTER TABLE report.reports NO FORCE ROW LEVEL SECURITY")  # else not even the owner sees what to move
    _create_studies()
    _create_series()
    _create_instances()
    _create_kinds()
    _carry_over()
    _slim_reports()
    _guard()
    op.execute("ALTER TABLE report.reports FORCE ROW LEVEL SECURITY")


def _create_studies() -> None:
    op.create_table(
        "studies",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("study_id", sa.Uuid, nullable=False),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("study_instance_uid", sa.Text, nullable=False),
        sa.Column("patient_hash", sa.LargeBinary),
        sa.Column("patient_sealed", sa.LargeBinary),
        sa.Column(
            "patient_due_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.func.now(),
        ),
        sa.Column("patient_attempts", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("patient_fault", sa.Text),
        sa.PrimaryKeyConstraint("tenant", "study_id", name=op.f("pk_studies")),
        sa.UniqueConstraint(
            "tenant", "owner_id", "study_instance_uid", name=op.f("uq_studies_tenant_owner_id_study_instance_uid")
        ),
        schema=_SCHEMA,
    )


def _create_series() -> None:
    op.create_table(
        "series",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("series_id", sa.Uuid, nullable=False),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("study_id", sa.Uuid, nullable=False),
        sa.Column("series_instance_uid", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "series_id", name=op.f("pk_series")),
        # Within a study: damaged files may give the same series to two.
        sa.UniqueConstraint(
            "tenant", "study_id", "series_instance_uid", name=op.f("uq_series_tenant_study_id_series_instance_uid")
        ),
        sa.ForeignKeyConstraint(
            ["tenant", "study_id"],
            ["report.studies.tenant", "report.studies.study_id"],
            name=op.f("fk_series_tenant_study_id_studies"),
            ondelete="CASCADE",
        ),
        schema=_SCHEMA,
    )


def _create_instances() -> None:
    op.create_table(
        "instances",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("instance_id", sa.Uuid, nullable=False),
        sa.Column("series_id", sa.Uuid, nullable=False),
        sa.Column("sop_instance_uid", sa.Text, nullable=False),
        sa.Column("sop_class_uid", sa.Text, nullable=False),
        sa.Column("body_part", sa.Text),
        sa.Column("source_key", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "owner_id", "instance_id", name=op.f("pk_instances")),
        sa.ForeignKeyConstraint(
            ["tenant", "series_id"],
            ["report.series.tenant", "report.series.series_id"],
            name=op.f("fk_instances_tenant_series_id_series"),
            ondelete="CASCADE",
        ),
        schema=_SCHEMA,
    )


def _create_kinds() -> None:
    op.create_table(
        "kinds",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("kind_id", sa.Uuid, nullable=False),
        sa.Column("modality", sa.Text, nullable=False),
        sa.Column("finding", sa.Text, nullable=False),
        sa.Column("positive", sa.Boolean, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in _MODEL),
        sa.PrimaryKeyConstraint("tenant", "kind_id", name=op.f("pk_kinds")),
        schema=_SCHEMA,
    )


def _carry_over() -> None:
    """What reports said of their study, series, instance and kind; the first report of each is believed."""
    op.execute(
        "INSERT INTO report.studies (tenant, study_id, owner_id, study_instance_uid)"
        f" SELECT DISTINCT tenant, {_STUDY_ID}, owner_id, study_instance_uid FROM report.reports"
    )
    op.execute(
        "INSERT INTO report.series (tenant, series_id, owner_id, study_id, series_instance_uid)"
        f" SELECT DISTINCT tenant, {_SERIES_ID}, owner_id, {_STUDY_ID}, series_instance_uid FROM report.reports"
    )
    facts = "sop_instance_uid, sop_class_uid, body_part, source_key"
    op.execute(
        f"INSERT INTO report.instances (tenant, owner_id, instance_id, series_id, {facts})"
        f" SELECT DISTINCT ON (tenant, owner_id, instance_id) tenant, owner_id, instance_id, {_SERIES_ID}, {facts}"
        " FROM report.reports ORDER BY tenant, owner_id, instance_id, created_at"
    )
    kind = ", ".join(("modality", "finding", "positive", *_MODEL))
    op.execute(
        f"INSERT INTO report.kinds (tenant, kind_id, {kind})"
        f" SELECT DISTINCT ON (tenant, {_KIND_ID}) tenant, {_KIND_ID}, {kind}"
        f" FROM report.reports ORDER BY tenant, {_KIND_ID}, created_at"
    )


def _slim_reports() -> None:
    for name in ("study_id", "kind_id"):
        op.add_column("reports", sa.Column(name, sa.Uuid), schema=_SCHEMA)
    state = sa.Column("review_state", sa.Text, nullable=False, server_default="unreviewed")
    op.add_column("reports", state, schema=_SCHEMA)
    op.create_check_constraint(
        op.f("ck_reports_review_state"),
        "reports",
        "review_state IN ('unreviewed', 'agree', 'disagree', 'unsure')",
        schema=_SCHEMA,
    )
    op.execute(f"UPDATE report.reports SET study_id = {_STUDY_ID}, kind_id = {_KIND_ID}")
    for name in ("study_id", "kind_id"):
        op.alter_column("reports", name, nullable=False, schema=_SCHEMA)
    for name in _MOVED:  # with each go the indexes and constraints that hold it
        op.drop_column("reports", name, schema=_SCHEMA)
    op.create_foreign_key(
        op.f("fk_reports_tenant_owner_id_instance_id_instances"),
        *("reports", "instances"),
        *(["tenant", "owner_id", "instance_id"],) * 2,
        source_schema=_SCHEMA,
        referent_schema=_SCHEMA,
        ondelete="CASCADE",
    )
    op.create_foreign_key(
        op.f("fk_reports_tenant_kind_id_kinds"),
        *("reports", "kinds"),
        *(["tenant", "kind_id"],) * 2,
        source_schema=_SCHEMA,
        referent_schema=_SCHEMA,
    )
    op.create_unique_constraint(
        op.f("uq_reports_tenant_owner_id_instance_id_kind_id"),
        "reports",
        ["tenant", "owner_id", "instance_id", "kind_id"],
        schema=_SCHEMA,
    )
    _index_worklist()


def _index_worklist() -> None:
    # The policy of row security looks at the owner: with it in the index, counting need not look at the rows.
    owner = ["owner_id"]
    op.drop_index("ix_reports_tenant_urgency_received_at_report_id", "reports", schema=_SCHEMA)
    op.create_index("ix_reports_tenant_place", "reports", ["tenant", *_PLACE], schema=_SCHEMA, postgresql_include=owner)
    kind = ("kind_id", "review_state", *_PLACE)
    op.create_index("ix_reports_owner_kind", "reports", ["tenant", "owner_id", *kind], schema=_SCHEMA)
    op.create_index("ix_reports_tenant_kind", "reports", ["tenant", *kind], schema=_SCHEMA, postgresql_include=owner)
    op.create_index("ix_reports_study", "reports", ["tenant", "study_id", *_PLACE], schema=_SCHEMA)
    op.create_index("ix_instances_series", "instances", ["tenant", "series_id"], schema=_SCHEMA)
    op.create_index("ix_studies_uid", "studies", ["tenant", "study_instance_uid"], schema=_SCHEMA)
    op.create_index("ix_studies_patient", "studies", ["tenant", "patient_hash"], schema=_SCHEMA)
    op.create_index(
        "ix_studies_patient_due",
        "studies",
        ["tenant", "patient_due_at"],
        schema=_SCHEMA,
        postgresql_where=sa.text("patient_due_at IS NOT NULL"),
    )


def _guard() -> None:
    op.execute("GRANT UPDATE (review_state) ON report.reports TO report_app")
    patient = ", ".join(_PATIENT)
    enable_row_security(_SCHEMA, "studies", by_owner=True, app=f"SELECT, INSERT, UPDATE ({patient})")
    enable_row_security(_SCHEMA, "series", by_owner=True, app="SELECT, INSERT")
    enable_row_security(_SCHEMA, "instances", by_owner=True, app="SELECT, INSERT")
    enable_row_security(_SCHEMA, "kinds", by_owner=False, app="SELECT, INSERT")
    # The worker sees of each tenant which studies wait for their patient, and nothing of who that is.
    op.execute("GRANT SELECT (tenant, study_id, patient_due_at) ON report.studies TO report_system")
    op.execute("CREATE POLICY studies_system ON report.studies FOR SELECT TO report_system USING (true)")


def downgrade() -> None:
    for name in ("reports", "studies", "series", "instances", "kinds"):
        op.execute(f"ALTER TABLE report.{name} NO FORCE ROW LEVEL SECURITY")
    op.execute("REVOKE UPDATE (review_state) ON report.reports FROM report_app")
    for name in _MOVED:
        kind = sa.Boolean if name == "positive" else sa.Text
        op.add_column("reports", sa.Column(name, kind), schema=_SCHEMA)
    sources = dict.fromkeys(("modality", "finding", "positive", *_MODEL), "kinds")
    sources |= {"study_instance_uid": "studies", "series_instance_uid": "series"}
    assignments = ", ".join(f"{name} = {sources.get(name, 'instances')}.{name}" for name in _MOVED)
    op.execute(
        f"UPDATE report.reports SET {assignments}"
        " FROM report.instances JOIN report.series USING (tenant, series_id)"
        " JOIN report.studies USING (tenant, study_id), report.kinds"
        " WHERE instances.tenant = reports.tenant AND instances.owner_id = reports.owner_id"
        " AND instances.instance_id = reports.instance_id"
        " AND kinds.tenant = reports.tenant AND kinds.kind_id = reports.kind_id"
    )
    for name in set(_MOVED) - {"body_part"}:
        op.alter_column("reports", name, nullable=False, schema=_SCHEMA)
    op.drop_constraint("fk_reports_tenant_owner_id_instance_id_instances", "reports", schema=_SCHEMA)
    op.drop_constraint("fk_reports_tenant_kind_id_kinds", "reports", schema=_SCHEMA)
    op.drop_constraint("uq_reports_tenant_owner_id_instance_id_kind_id", "reports", schema=_SCHEMA)
    op.drop_index("ix_reports_tenant_place", "reports", schema=_SCHEMA)
    for name in ("study_id", "kind_id", "review_state"):
        op.drop_column("reports", name, schema=_SCHEMA)
    op.create_unique_constraint(
        op.f("uq_reports_tenant_owner_id_instance_id_model_digest"),
        "reports",
        ["tenant", "owner_id", "instance_id", "model_digest"],
        schema=_SCHEMA,
    )
    columns = ["tenant", *_PLACE]
    op.create_index(op.f(f"ix_reports_{'_'.join(columns)}"), "reports", columns, schema=_SCHEMA)
    for name in ("instances", "series", "studies", "kinds"):
        op.drop_table(name, schema=_SCHEMA)
    op.execute("ALTER TABLE report.reports FORCE ROW LEVEL SECURITY")
