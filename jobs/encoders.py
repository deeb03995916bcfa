"""Encoder versions: which artefacts exist, which are active, who is champion."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jobs.errors import InputMissingError, JobError, UsageError
from jobs.promotion.evidence import Evidence, evidence_of_manifest
from jobs.promotion.verdict import Terms, findings
from jobs.stage import Context, Stage, stage_that_ends_with
from karma.manifest import ArtefactError, Manifest, OtherCodeError, artefact_digest, read_manifest, verify
from schemas import names

log = logging.getLogger("karma.encoders")


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """One registered artefact: its folder, manifest and digest."""

    version: str
    folder: Path
    digest: str
    manifest: Manifest

    @property
    def space_id(self) -> str:
        return self.manifest.space_id

    @property
    def trained_until(self) -> datetime:
        """Nothing at or after this instant influenced the weights or their choice (UTC)."""
        return datetime.fromisoformat(self.manifest.trained_until).astimezone(UTC)


def open_encoder(folder: Path) -> Encoder:
    """The encoder in ``folder`` (``encoders/<version>/``), as its manifest tells it. Raises karma.manifest.ArtefactError."""
    return Encoder(version=folder.name, folder=folder, digest=artefact_digest(folder), manifest=read_manifest(folder))


def refuse_unusable(encoder: Encoder) -> None:
    """To be asked before its weights are read: what no weight is needed for goes on with an encoder of other code (publishing, joins).

    Raises JobError: a file of it is lost or changed (ARTEFACT_CHANGED), or this code makes other vectors of it (OTHER_CODE).
    """
    try:
        verify(encoder.folder, encoder.digest)
    except OtherCodeError as error:
        hint = f"run the code that made it; or train an encoder with this one, promote it, and karma retire --encoder {encoder.version}"
        raise JobError("OTHER_CODE", str(error), table=names.ENCODER_VERSIONS, got=encoder.version, hint=hint) from error
    except ArtefactError as error:
        hint = f"restore the folder, train the encoder again, or karma retire --encoder {encoder.version}"
        raise JobError("ARTEFACT_CHANGED", str(error), table=names.ENCODER_VERSIONS, got=encoder.version, hint=hint) from error


def register(context: Context, encoder: Encoder, metrics: Mapping[str, float]) -> Encoder:
    """Make ``encoder`` active; it becomes champion where there is none, unless its own metrics say that it collapsed.

    A version that is registered already stays as it is: made again, it may say that its data were read from newer versions of the tables,
    and its row takes the new digest. An active one that encodes into the same space stays too, since its vectors are the same, as after a
    release whose training changed elsewhere; where its files are lost, ``encoder`` takes its place.

    Returns: the encoder that the register tells of: ``encoder``, retired where it was, or the active one that encodes into its space.

    Raises JobError: it is registered with other weights, or the folder of the one that stays was made again (ARTEFACT_CHANGED); others
        changed the register meanwhile (ROWS_MOVED).
    """
    known = context.tables.rows(names.ENCODER_VERSIONS)
    registered = next((row for row in known if row["version"] == encoder.version), None)
    if registered is not None:
        _renew(context, encoder, registered)
        if registered["status"] == names.ACTIVE:
            _crown_first(context, encoder)  # a kill between the two steps below left none
        return encoder
    twin = _twin(known, encoder.space_id)
    if twin is not None and not is_lost(context.places.encoders / twin["version"], twin["artefact_digest"]):
        log.info("%s makes the vectors of %s, which stays", encoder.version, twin["version"])
        return _as_registered(context, twin)
    row = {
        "version": encoder.version,
        "artefact_uri": str(encoder.folder),
        "artefact_digest": encoder.digest,
        "space_id": encoder.space_id,
        "trained_until": encoder.trained_until,
        "status": names.ACTIVE,
        "alias": None,
        "promoted_at": None,
        "created_at": context.run_at,
        "metrics": dict(metrics),
        "details": None,
    }
    if twin is None:
        context.tables.append_rows([row], names.ENCODER_VERSIONS)
    else:
        _replace(context, twin, row)
    _crown_first(context, encoder)
    return encoder


def _crown_first(context: Context, encoder: Encoder) -> None:
    """Make ``encoder`` champion where there is none and its own metrics do not say that it collapsed; of two at once one is."""
    evidence = evidence_of_manifest(encoder.manifest)
    if champion_row(context) is not None or not _speaks_for_itself(evidence):
        return
    try:
        make_champion(context, encoder.version, {"evidence": evidence.model_dump_json()}, instead_of=None)
    except JobError as error:
        log.info("%s does not become champion: %s", encoder.version, error)


def _renew(context: Context, encoder: Encoder, registered: Mapping[str, Any]) -> None:
    if encoder.digest == registered["artefact_digest"]:
        return
    if encoder.space_id != registered["space_id"]:
        _refuse_other_weights(encoder, registered)

    def renewed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "artefact_digest": encoder.digest} if row["version"] == encoder.version else row for row in rows]

    log.info("%s was made again, with the same weights", encoder.version)
    context.tables.change_rows(renewed, names.ENCODER_VERSIONS)


def _replace(context: Context, lost: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    """Retire ``lost``; ``row`` makes its vectors, and is what it was. Raises JobError ROWS_MOVED where ``lost`` is no longer active."""

    def replaced(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        now = next((other for other in rows if other["version"] == lost["version"] and other["status"] == names.ACTIVE), None)
        if now is None:
            raise JobError(
                "ROWS_MOVED", "encoders changed while one was registered", table=names.ENCODER_VERSIONS,
                expected=f"{lost['version']} active", got="not active", hint="run it again",
            )  # fmt: skip
        kept = {name: now[name] for name in ("alias", "promoted_at", "details")}
        retired = {**now, "alias": None, "status": names.RETIRED}
        return [*(retired if other is now else other for other in rows), {**row, **kept}]

    log.info("%s takes the place of %s, whose files are lost", row["version"], lost["version"])
    context.tables.change_rows(replaced, names.ENCODER_VERSIONS)


def is_lost(folder: Path, digest: str) -> bool:
    """Whether a file of the artefact that was registered with ``digest`` is lost or changed; one of other code is not."""
    try:
        verify(folder, digest)
    except OtherCodeError:
        return False
    except ArtefactError:
        return True
    return False


def _twin(rows: Sequence[Mapping[str, Any]], space_id: str) -> Mapping[str, Any] | None:
    """The row of the active version that encodes into the space."""
    return next((row for row in rows if row["space_id"] == space_id and row["status"] == names.ACTIVE), None)


def _speaks_for_itself(evidence: Evidence) -> bool:
    against = findings(evidence, Terms())
    for finding in against:
        log.warning("%s does not become champion: %s", evidence.candidate, finding)
    return not against


def champion_row(context: Context) -> dict[str, Any] | None:
    """The row of encoder_versions that has the alias ``champion``."""
    return next(iter(context.tables.rows(names.ENCODER_VERSIONS, [("alias", "=", names.CHAMPION)])), None)


def make_champion(context: Context, version: str, details: Mapping[str, str], *, instead_of: str | None) -> None:
    """Move the alias ``champion`` from ``instead_of`` to ``version``; every version stays active. ``details``: what that rests on.

    Raises JobError ROWS_MOVED where, since the two were compared, ``version`` was retired or another one became champion.
    """
    promoted = {"alias": names.CHAMPION, "promoted_at": context.run_at, "details": details}

    def moved(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        champions = [row["version"] for row in rows if row["alias"] == names.CHAMPION]
        active = any(row["version"] == version and row["status"] == names.ACTIVE for row in rows)
        if not active or (instead_of not in champions if instead_of else champions):  # several, by whatever way, end here too
            raise JobError(
                "ROWS_MOVED", "encoders changed while the two were compared", table=names.ENCODER_VERSIONS,
                expected=f"{version} active, and champion: {instead_of or 'none'}",
                got=f"{'active' if active else 'not active'}, and champion: {', '.join(map(str, champions)) or 'none'}",
                hint="run it again",
            )  # fmt: skip
        kept = [{**row, "alias": None} if row["alias"] == names.CHAMPION else row for row in rows]
        return [{**row, **promoted} if row["version"] == version else row for row in kept]

    context.tables.change_rows(moved, names.ENCODER_VERSIONS)


def retire_version(context: Context, version: str) -> None:
    """Stop producing the space of ``version``; what is published in it stays.

    Raises InputMissingError where no such version is active, UsageError where it is champion.
    """

    def retired(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        row = _row_of(rows, version, names.ACTIVE)
        if row["alias"] == names.CHAMPION:
            raise UsageError("IS_CHAMPION", "the champion cannot be retired", got=version, hint="karma promote another one first")
        return [{**row, "status": names.RETIRED} if row["version"] == version else row for row in rows]

    _change_versions(context, version, retired)


def take_back_version(context: Context, version: str) -> None:
    """Make a retired ``version`` active again; it is not champion.

    Raises InputMissingError where no such version is retired, JobError SPACE_TAKEN where an active one encodes into its space.
    """

    def active(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if twin := _twin(rows, _row_of(rows, version, names.RETIRED)["space_id"]):
            raise JobError(
                "SPACE_TAKEN", "two active versions would write one space", expected=twin["version"], got=version,
                hint=f"karma retire --encoder {twin['version']}",
            )  # fmt: skip
        return [{**row, "status": names.ACTIVE} if row["version"] == version else row for row in rows]

    _change_versions(context, version, active)


def _change_versions(context: Context, version: str, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    if not context.tables.exists(names.ENCODER_VERSIONS):
        _row_of([], version, names.ACTIVE)
    context.tables.change_rows(change, names.ENCODER_VERSIONS)


def _row_of(rows: Sequence[Mapping[str, Any]], version: str, status: str) -> Mapping[str, Any]:
    """The row of ``version``, which has this status. Raises InputMissingError."""
    row = next((row for row in rows if row["version"] == version), None)
    if row is None or row["status"] != status:
        got = f"{version}: {row['status'] if row else 'not registered'}"
        raise InputMissingError("NO_ENCODER", f"no such encoder is {status}", table=names.ENCODER_VERSIONS, got=got)
    return row


def active_encoders(context: Context) -> list[Encoder]:
    """Every active encoder, by version: each one's space is produced daily (P2).

    Raises JobError: a folder is lost (ARTEFACT_LOST), or not what was registered (ARTEFACT_CHANGED).
    """
    rows = context.tables.rows(names.ENCODER_VERSIONS, [("status", "=", names.ACTIVE)])
    return [_as_registered(context, row) for row in sorted(rows, key=lambda row: str(row["version"]))]


def _as_registered(context: Context, row: Mapping[str, Any]) -> Encoder:
    try:
        encoder = open_encoder(context.places.encoders / row["version"])
    except ArtefactError as error:
        raise JobError(
            "ARTEFACT_LOST", str(error), table=names.ENCODER_VERSIONS, got=row["version"],
            hint=f"restore the folder, train the encoder again, or karma retire --encoder {row['version']}",
        ) from error  # fmt: skip
    _refuse_other_weights(encoder, row)
    return encoder


def _refuse_other_weights(encoder: Encoder, registered: Mapping[str, Any]) -> None:
    """What a killed training left may be unregistered; one that its time limit ended makes other weights under the same version."""
    if encoder.digest != registered["artefact_digest"]:
        raise JobError(
            "ARTEFACT_CHANGED", f"{encoder.folder} is not the artefact that was registered", table=names.ENCODER_VERSIONS,
            expected=registered["artefact_digest"], got=encoder.digest,
            hint="restore the folder, or run karma train-encoder again; where that ends the same: train under another name or seed, then "
            f"karma retire --encoder {encoder.version} (of a champion after a promotion of the new one)",
        )  # fmt: skip


def encoders_of(context: Context, version: str | None) -> list[Encoder]:
    """The active encoder called ``version``; without a name, every active one: each space is produced daily (P2).

    Raises InputMissingError where that is none.
    """
    if version is not None or not (active := active_encoders(context)):
        return [encoder_of(context, version)]
    return active


def stages_of_spaces(context: Context, job: str, version: str | None, stage: Callable[[Encoder], Stage]) -> list[Stage]:
    """``stage`` of each of `encoders_of`; where there is none, one that ends with that error, so that the ledger tells it (P6)."""
    try:
        return [stage(encoder) for encoder in encoders_of(context, version)]
    except JobError as error:
        return [stage_that_ends_with(error, job)]


def encoder_of(context: Context, version: str | None) -> Encoder:
    """The active encoder called ``version``; without a name, the only active one.

    Raises InputMissingError: no such encoder is active, or none was named and there is not exactly one.
    """
    active = {str(row["version"]): row for row in context.tables.rows(names.ENCODER_VERSIONS, [("status", "=", names.ACTIVE)])}
    if version is None and len(active) == 1:
        version = next(iter(active))
    if version is None or version not in active:
        retired = context.tables.rows(names.ENCODER_VERSIONS, [("version", "=", version or ""), ("status", "=", names.RETIRED)])
        raise InputMissingError(
            "NO_ENCODER",
            "name one active encoder",
            table=names.ENCODER_VERSIONS,
            expected=f"--encoder, one of {sorted(active)}" if active else "an active encoder",
            got=version or "no --encoder",
            hint=f"it is retired: karma retire --encoder {version} --undo" if retired else "karma train-encoder makes and registers one",
        )
    return _as_registered(context, active[version])  # that one alone: another's lost folder is not its trouble
