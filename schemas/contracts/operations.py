"""What the jobs write about themselves: quarantine, run ledger, encoder versions."""

from schemas import names
from schemas.contract import Contract, optional, required

QUARANTINE = Contract(
    table=names.QUARANTINE,
    key=("job", "table", "ds", "source_file", "row_number"),
    partition_by=("ds", "table"),
    columns=(
        required("job", "string", "the job that refused the row"),
        required("table", "string", "the table it was meant for"),
        required("ds", "date", "arrival day"),
        required("source_file", "string", "file name inside the landing partition"),
        required("row_number", "bigint", "row in that file, from 0"),
        required("reason", "string", "stable reason code"),
        required("run_id", "string", "the run that refused it"),
        required("row", "string", "the row as JSON; undecodable bytes as base64"),
    ),
)

RUN_LEDGER = Contract(
    table=names.RUN_LEDGER,
    key=("run_id", "job", "ds", "space_id", "attempt", "status"),
    columns=(
        required("run_id", "string", "one invocation"),
        required("job", "string", "schemas.names, the *_JOB constants"),
        required("ds", "date", "the day it worked on"),
        required("space_id", "string", "the space; empty for a job that has none"),
        required("attempt", "int", "counts the attempts at (job, ds, space), from 1"),
        required("status", "string", "started, done, unchanged, missing_input, blocked, failed, superseded"),
        required("at", "timestamp", "the run's clock when the row was written (UTC): --run-at and the time since"),
        optional("counts", "map<string,bigint>", "rows and tokens by name"),
        optional("durations", "map<string,double>", "seconds by name"),
        optional("input_digest", "string", "digest of everything the result depends on"),
        optional("output_digest", "string", "digest of the rows written, clocks and run ids aside"),
        optional("versions", "map<string,bigint>", "Delta versions read or, for publish, written, by table"),
        optional("details", "map<string,string>", "what the verdict or the reader needs by name"),
        optional("reason", "string", "in words, where the status is not done"),
    ),
)

ENCODER_VERSIONS = Contract(
    table=names.ENCODER_VERSIONS,
    key=("version",),
    columns=(
        required("version", "string", "folder name under encoders/"),
        required("artefact_uri", "string", "where the artefact lies"),
        required("artefact_digest", "string", "digest of its manifest"),
        required("space_id", "string", "the space it encodes into"),
        required("trained_until", "timestamp", "nothing at or after this instant influenced it (UTC)"),
        required("status", "string", "candidate, active or retired"),
        optional("alias", "string", "champion, or null"),
        optional("promoted_at", "timestamp", "when the alias was given (UTC)"),
        required("created_at", "timestamp", "when it was registered (UTC)"),
        optional("metrics", "map<string,double>", "by name"),
        optional("details", "map<string,string>", "of one that is or was champion: the evidence, or why it was promoted without"),
    ),
)
