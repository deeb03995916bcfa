"""Arguments that every job shares, parsed by tyro, and the way from them to a context and days."""

import logging
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import tyro

from jobs.errors import JobError, UsageError
from jobs.hadoop_files import children
from jobs.places import Places
from jobs.run_verdict import leave_verdict
from jobs.session import build_session
from jobs.stage import Context, new_run_id, utc_now
from jobs.storage_faults import storage_fault
from karma.config import PretrainedModelError
from karma.manifest import ArtefactError
from schemas import names
from schemas.contracts import CONTRACTS

Args = TypeVar("Args", bound="RootArgs")


@dataclass(frozen=True, kw_only=True)
class RootArgs:
    """Where to work and on which clock."""

    root: str = "var/demo"
    """Folder that holds warehouse/, encoders/, landing/ and data_docs/."""
    landing: str | None = None
    """Landing zone, where it is not <root>/landing."""
    warehouse: str | None = None
    """Folder or URI of the tables, where they are not in <root>/warehouse."""
    run_at: str | None = None
    """The job's clock, ISO 8601 with a zone or UTC; default: now."""
    run_id: str | None = None
    """Names this run in ledger, quarantine and staged rows; default: a new one."""
    verdict: str | None = None
    """Path or URI of a JSON file that says how the run ended, for a scheduler; default: none is written."""


@dataclass(frozen=True, kw_only=True)
class DayArgs(RootArgs):
    """Which days to work on: --ds, or --ds-from and --ds-to (both inclusive)."""

    ds: str | None = None
    """The day, YYYY-MM-DD."""
    ds_from: str | None = None
    """First day of a backfill, inclusive: missing or stale days only."""
    ds_to: str | None = None
    """Last day of a backfill, inclusive."""
    recompute: bool = False
    """Run settled days again; lets a simulated publication replace a live one."""

    @property
    def is_backfill(self) -> bool:
        return self.ds_from is not None

    @property
    def days(self) -> list[date]:
        """The days in order. Raises UsageError where the flags name none, or exclude each other."""
        if self.ds is not None and self.ds_from is None and self.ds_to is None:
            return [parse_day(self.ds, "--ds")]
        if self.ds is None and self.ds_from is not None and self.ds_to is not None:
            return days_between(self.ds_from, self.ds_to, ("--ds-from", "--ds-to"))
        raise UsageError("NO_DAY", "name the day", expected="--ds, or --ds-from with --ds-to", got=self.ds or self.ds_from or self.ds_to)


def days_between(first: str, last: str, flags: tuple[str, str]) -> list[date]:
    """Every day from ``first`` to ``last``, both inclusive, as named by ``flags``. Raises UsageError."""
    begin, end = parse_day(first, flags[0]), parse_day(last, flags[1])
    if end < begin:
        raise UsageError("DAYS_REVERSED", f"{flags[1]} lies before {flags[0]}", expected=f">= {begin}", got=end)
    return [begin + timedelta(days=offset) for offset in range((end - begin).days + 1)]


def parse_day(text: str, flag: str) -> date:
    """``YYYY-MM-DD`` and nothing else. Raises UsageError."""
    try:
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            raise ValueError
        day = date.fromisoformat(text)
        if day == date.max:  # it has no end
            raise ValueError
        return day
    except ValueError:
        raise UsageError("NOT_A_DAY", f"{flag} is no date", expected="YYYY-MM-DD", got=repr(text), hint="like 2026-03-10") from None


def parse_instant(text: str, flag: str) -> datetime:
    """An ISO 8601 instant of the years 1970 to 9998; without a zone it is UTC. Raises UsageError."""
    try:
        instant = datetime.fromisoformat(text)
        instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
        if not 1970 <= instant.year <= 9998:  # beyond, days before and after it could not be told
            raise ValueError
    except (ValueError, OverflowError):
        raise UsageError("NOT_AN_INSTANT", f"{flag} is no instant", expected="ISO 8601, 1970 to 9998", got=repr(text)) from None
    return instant


def context_of(
    args: RootArgs, app_name: str, *, recompute: bool = False, overrides: Mapping[str, str] | None = None, makes_root: bool = False
) -> Context:
    """The context of a main: session (with ``overrides`` of its settings), places, clock and run id from ``args``.

    Raises UsageError where --root is no folder, and ``makes_root`` does not say that this job may be the first one there; where
    the warehouse is a file, or a folder that holds other things alone.
    """
    run_at = parse_instant(args.run_at, "--run-at") if args.run_at else utc_now()
    _refuse_unusable(args.root, makes_root)
    places, run_id = places_of(args), args.run_id or new_run_id()
    context = Context(spark=build_session(app_name, overrides), places=places, run_at=run_at, run_id=run_id, recompute=recompute)
    _refuse_no_warehouse(context)
    return context


def places_of(args: RootArgs) -> Places:
    """Where ``args`` say that things lie."""
    return Places(args.root, args.landing, args.warehouse)


def _refuse_unusable(root: str, makes_root: bool) -> None:
    if "://" in root:
        hint = "tables and landing zone may lie anywhere: --warehouse, --landing; encoders, Data Docs and shards are files of the driver"
        raise UsageError("NOT_A_ROOT", "--root is no folder of this machine", expected="a folder", got=root, hint=hint)
    if not makes_root and not Path(root).exists():
        hint = "mistyped? `karma demo`, own-data, run-day and the ingest jobs make a new one"
        raise UsageError("NO_ROOT", "there is no such folder", expected="--root, a folder that a job has worked in", got=root, hint=hint)
    try:
        Path(root).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        said = f"{root}: {error}"
        raise UsageError("NOT_A_ROOT", "--root is no folder, and none can be made there", expected="a folder", got=said) from error


def _refuse_no_warehouse(context: Context) -> None:
    place = context.places.warehouse
    found = children(context.spark, place)
    visible = [name for name in found or [] if not name.startswith((".", "_")) and name != "lost+found"]
    if found is None or (visible and not CONTRACTS.keys() & set(visible)):
        got = "a file" if found is None else ", ".join(visible[:5])
        hint = "--warehouse, or --root with warehouse/ in it; a new or an empty folder will do"
        expected = f"{place}: a folder of tables, such as {names.EVENTS}"
        raise UsageError("NOT_A_WAREHOUSE", "the warehouse is none", expected=expected, got=got, hint=hint)


def run_main(args_type: type[Args], body: Callable[[Args], int], argv: Sequence[str] | None, prog: str) -> int:
    """Parse ``argv``, run ``body`` and turn a JobError into its exit code and one clear line on stderr. Leaves the verdict asked for."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    for chatty in ("py4j", "great_expectations", "great_expectations.data_context.types.base", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    args = tyro.cli(args_type, args=argv, prog=prog, description=args_type.__doc__)
    args = replace(args, run_id=args.run_id or new_run_id())
    code, reason = names.EXIT_FAILED, None
    try:
        code = body(args)
    except JobError as error:
        code, reason = error.exit_code, str(error)
    except ArtefactError as error:
        reason = f"[ARTEFACT] {error} Hint: restore the folder, or train the encoder again."
    except PretrainedModelError as error:
        reason = f"[PRETRAINED_MODEL] {error}"
    except Exception as error:
        fault = storage_fault(error)
        if fault is None:
            _leave_verdict(args, prog, code, "".join(traceback.format_exception_only(error)).strip())
            raise
        code, reason = fault.exit_code, str(fault)
    if reason:
        logging.getLogger("karma").error("%s", reason)
    _leave_verdict(args, prog, code, reason)
    return code


def _leave_verdict(args: RootArgs, prog: str, code: int, reason: str | None) -> None:
    if args.verdict and args.run_id:
        job = prog.removeprefix("karma ")
        leave_verdict(args.verdict, job=job, run_id=args.run_id, exit_code=code, reason=reason, places=places_of(args))
