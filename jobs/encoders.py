"""Encoder versions: which artefacts exist, which are active, who is champion."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jobs.errors import InputMissingError
from jobs.stage import Context
from karma.artefact import Manifest, artefact_digest, read_manifest
from schemas import names


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
    """The encoder in ``folder`` (``encoders/<version>/``). Raises karma.artefact.ArtefactError."""
    return Encoder(version=folder.name, folder=folder, digest=artefact_digest(folder), manifest=read_manifest(folder))


def register(context: Context, encoder: Encoder, metrics: Mapping[str, float]) -> None:
    """Make ``encoder`` active; the first one becomes champion. A version that is registered already stays as it is."""
    known = context.tables.rows(names.ENCODER_VERSIONS)
    if any(row["version"] == encoder.version for row in known):
        return
    first = not any(row["alias"] == names.CHAMPION for row in known)
    row = {
        "version": encoder.version,
        "artefact_uri": str(encoder.folder),
        "artefact_digest": encoder.digest,
        "space_id": encoder.space_id,
        "trained_until": encoder.trained_until,
        "status": names.ACTIVE,
        "alias": names.CHAMPION if first else None,
        "promoted_at": context.run_at if first else None,
        "created_at": context.run_at,
        "metrics": dict(metrics),
    }
    context.tables.append_rows([row], names.ENCODER_VERSIONS)


def active_encoders(context: Context) -> list[Encoder]:
    """Every active encoder, by version: each one's space is produced daily (P2)."""
    rows = context.tables.rows(names.ENCODER_VERSIONS, [("status", "=", names.ACTIVE)])
    return [open_encoder(context.places.encoders / version) for version in sorted(row["version"] for row in rows)]


def encoder_of(context: Context, version: str | None) -> Encoder:
    """The encoder called ``version``; without a name, the only active one.

    Raises InputMissingError: the version is not there, or none was named and there is not exactly one.
    """
    if version is not None:
        folder = context.places.encoders / version
        if not (folder / "manifest.json").is_file():
            raise InputMissingError(
                "NO_ENCODER", "no such encoder", expected=f"{folder}/manifest.json", hint="karma train-encoder makes one"
            )
        return open_encoder(folder)
    active = active_encoders(context)
    if len(active) != 1:
        raise InputMissingError(
            "ENCODER_UNNAMED",
            "name the encoder",
            expected="--encoder, or exactly one active",
            got=[encoder.version for encoder in active] or "none",
        )
    return active[0]
