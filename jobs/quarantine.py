"""Quarantine: refused rows with their reason, as JSON. A rerun replaces its own."""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, StringType

from jobs.landing import Landed
from jobs.stage import Context
from jobs.transforms.contract_check import PLACE, VERDICT
from schemas import names
from schemas.contracts import CONTRACTS


def replace_quarantine(context: Context, rows: DataFrame, job: str, table: str, ds: date, count: int) -> None:
    """Replace what (job, table, ds) has in quarantine by ``rows``, of which there are ``count``.

    Nothing is written where nothing is and nothing was refused.
    """
    replace_quarantine_days(context, rows, job, table, [ds], count)


def replace_quarantine_days(context: Context, rows: DataFrame, job: str, table: str, days: Sequence[date], count: int) -> None:
    """As ``replace_quarantine`` for several days, in one commit."""
    own = f"`job` = '{job}' AND `table` = '{table}' AND {days_predicate(days)}"
    if count or (_tried_before(context, job, days) and not context.tables.read(names.QUARANTINE).where(own).isEmpty()):
        context.tables.replace_where(rows.select(*CONTRACTS[names.QUARANTINE].names), names.QUARANTINE, own)


def _tried_before(context: Context, job: str, days: Sequence[date]) -> bool:
    """Whether an earlier attempt at one of ``days`` may have left rows: the ledger knows it without a look into the table."""
    tried = [row for row in context.ledger.rows(job, until=max(days)) if row.ds in set(days) and row.status != names.MISSING_INPUT]
    ours = sum(row.run_id == context.run_id and row.status == names.STARTED for row in tried[-1:])
    return len(tried) > ours


def days_predicate(days: Sequence[date]) -> str:
    """``ds`` is one of ``days``, in SQL; a range where no day is left out.

    Written out, since Delta cannot resolve a BETWEEN in a replaceWhere that is not of partition columns alone.
    """
    first, last = min(days), max(days)
    if (last - first).days + 1 == len(set(days)):
        return f"(`ds` >= DATE'{first}' AND `ds` <= DATE'{last}')"
    listed = ", ".join(f"DATE'{day}'" for day in sorted(set(days)))
    return f"`ds` IN ({listed})"


def refused_rows(judged: DataFrame, landed: Landed, *, job: str, table: str, run_id: str, image: str | None = None) -> DataFrame:
    """Rows for quarantine: every row of ``judged`` (ds, PLACE, VERDICT as the reason) with its landed content.

    The content is looked up again by file and row number, so that accepted rows never carry it.

    Args:
        image: the source column that holds pictures; its digest and length stand for it.
    """
    content = rows_as_json(landed, image)
    return judged.select("ds", *PLACE, F.col(VERDICT).alias("reason")).join(content, list(PLACE)).select(
        F.lit(job).alias("job"), F.lit(table).alias("table"), "ds", *PLACE, "reason", F.lit(run_id).alias("run_id"), "row"
    )  # fmt: skip


def rows_as_json(landed: Landed, image: str | None) -> DataFrame:
    """PLACE and ``row``: the content of every landed row, of a mended one what it was mended to."""
    content = landed.rows.select(*PLACE, row_as_json(landed, image).alias("row"), F.col("raw").isNotNull().alias("_unparsed"))
    if landed.mended is None:
        return content.drop("_unparsed")
    before = F.when(F.col("_unparsed"), F.create_map().cast("map<string,string>")).otherwise(F.from_json("row", "map<string,string>"))
    kept = F.map_filter(before, lambda name, _: ~F.array_contains(F.map_keys("mended"), F.regexp_replace(name, ":base64$", "")))
    given = F.map_filter("mended", lambda _, value: value.isNotNull())
    merged = F.to_json(F.map_concat(kept, given))
    joined = content.join(landed.mended, list(PLACE), "left")
    return joined.select(*PLACE, F.when(F.col("mended").isNull(), F.col("row")).otherwise(merged).alias("row"))


def row_as_json(landed: Landed, image: str | None) -> Column:
    """A landed row as a JSON object of its source columns; nulls are left out.

    Bytes stand as base64: a binary column under its name, a text that is not UTF-8 under ``<name>:base64``. A picture stands
    as ``<name>:sha256`` and ``<name>:length``. A line that could not be parsed stands under ``line`` or ``line:base64``.
    """
    parsed = [field for name, type in landed.types.items() for field in _fields(name, F.col("source").getField(name), type, name == image)]
    unparsed = _text_fields("line", F.col("raw").cast("string"))
    whole = F.to_json(F.struct(*parsed)) if parsed else F.lit("{}")
    return F.when(F.col("raw").isNotNull(), F.to_json(F.struct(*unparsed))).otherwise(whole)


def _fields(name: str, value: Column, type: object, is_image: bool) -> list[Column]:
    if is_image:
        return [F.sha2(value.cast("binary"), 256).alias(f"{name}:sha256"), F.length(value).alias(f"{name}:length")]
    if isinstance(type, StringType):
        return _text_fields(name, value)
    return [(F.base64(value) if isinstance(type, BinaryType) else value).alias(name)]


def _text_fields(name: str, value: Column) -> list[Column]:
    valid = F.is_valid_utf8(value)
    return [F.when(valid, value).alias(name), F.when(~valid, F.base64(value.cast("binary"))).alias(f"{name}:base64")]
