"""What an ablation is run on: the training data of a finished root with targets beside them, and the configuration trained there."""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.encoder_configuration import in_words
from jobs.errors import UsageError
from karma.config import TrainingConfig
from karma.manifest import CODE_VERSIONS, MANIFEST, ArtefactError, Manifest, file_digest, read_manifest
from karma.training.data import TARGETS, read_meta
from karma.training.study import JUDGE_VERSION

log = logging.getLogger("karma.arms")

ASKED = ".asked"
NAMED = 5
"""How many differing settings a refusal spells out."""
_OTHER = {
    "versions": "another version of the code", "data": "other data", "targets": "other targets", "configuration": "another configuration",
}  # fmt: skip


def leave_targets(data: Path, targets: Mapping[str, str], queries: Mapping[str, str]) -> None:
    """Write the targets (item by user) that are held out of a training data folder beside it, whole or not at all.

    ``queries``: by user the query that was typed for the target, where one was.
    """
    users = sorted(targets)
    typed = pa.array([queries.get(user) for user in users], pa.string())
    table = pa.table({"user_id": users, "item_id": [targets[user] for user in users], "query": typed})
    draft = data / f".{TARGETS}.draft"
    pq.write_table(table, draft)
    os.replace(draft, data / TARGETS)


def data_of(root: Path) -> Path:
    """The newest training data folder below ``root`` that targets were left in. Raises UsageError where there is none."""
    found = sorted((root / "training" / "data").glob(f"*/{TARGETS}"), key=os.path.getmtime)
    if not found:
        raise UsageError(
            "NO_SET", "no training data with held-out targets lie there", column="--set", expected=f"{root}/training/data/*/{TARGETS}",
            got="none", hint="the OUT of make own-data with TARGETS, or a root that evaluate-encoder has run in (make demo)",
        )  # fmt: skip
    return found[-1].parent


def config_of(root: Path, data: Path) -> TrainingConfig:
    """The configuration of the newest encoder that was trained on ``data``. Raises UsageError where none was."""
    fingerprint = read_meta(data).fingerprint
    found = [manifest for manifest in _manifests(root) if manifest.data_fingerprint == fingerprint]
    if not found:
        raise UsageError(
            "NO_CONFIG", "no encoder was trained on these data", column="--config", expected="a training configuration", got="none",
            hint="name one: conf/encoder/ has some",
        )  # fmt: skip
    log.info("the configuration is that of %s, the newest encoder of these data: --config names another", found[-1].version)
    try:
        return TrainingConfig.model_validate(found[-1].config["training"])
    except ValueError as error:
        raise UsageError(
            "NO_CONFIG", f"encoder {found[-1].version} was trained by another version of this code, with other settings", column="--config",
            expected="a training configuration", got=in_words(error), hint="name one: conf/encoder/ has some",
        ) from None  # fmt: skip


def _manifests(root: Path) -> list[Manifest]:
    """Of all encoders below ``root``, oldest first; the log names one that cannot be read."""
    found = []
    for path in sorted((root / "encoders").glob(f"*/{MANIFEST}"), key=os.path.getmtime):
        try:
            found.append(read_manifest(path.parent))
        except ArtefactError as error:
            log.warning("left out: %s", error)
    return found


def claim(out: Path, configuration: TrainingConfig, data: Path, targets: Path | None) -> None:
    """Make ``out``, for the runs of one configuration by one version of the code, on one folder of data and one file of targets.

    Args:
        configuration: the base, before arms, paths and seeds change it.
        targets: None: hidden items.

    Raises:
        UsageError: runs that were made or asked otherwise lie there; they could not be paired. It names what differs.
    """
    asked = {
        "versions": [JUDGE_VERSION, *CODE_VERSIONS], "data": read_meta(data).fingerprint,
        "targets": "hidden items" if targets is None else file_digest(targets), "configuration": configuration.model_dump(mode="json"),
    }  # fmt: skip
    if out.exists() and not out.is_dir():
        raise UsageError("NOT_A_FOLDER", "runs need a folder", column="--out", expected="a folder, or nothing yet", got=f"the file {out}")
    out.mkdir(parents=True, exist_ok=True)
    file = out / ASKED
    if not file.is_file():
        draft = out / f"{ASKED}.{os.getpid()}"
        draft.write_text(json.dumps(asked), encoding="utf-8")
        os.replace(draft, file)
        return
    ours, theirs = _flat(asked), _flat(_said(file))
    differ = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
    if differ:
        raise UsageError(
            "OTHER_SET", f"the runs in this folder are of {_in_words(differ)}", column="--out",
            expected={name: ours.get(name) for name in differ[:NAMED]}, got={name: theirs.get(name) for name in differ[:NAMED]},
            hint="name another folder, or remove this one where nothing in it is wanted",
        )  # fmt: skip


def _said(file: Path) -> dict[str, Any]:
    """What the folder was claimed for; nothing where the file is damaged, so that all differs."""
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Every value that is no mapping itself, by the dotted path to it."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _flat(value, f"{before}{name}.") if isinstance(value, Mapping) else {f"{before}{name}": value}
    return found


def _in_words(differ: Sequence[str]) -> str:
    kinds = dict.fromkeys(name.partition(".")[0] for name in differ)
    more = f"; {len(differ) - NAMED} more settings differ than are named" if len(differ) > NAMED else ""
    return ", ".join(_OTHER[kind] for kind in kinds) + more
