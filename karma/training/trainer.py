"""Training: from a folder of data to an artefact, once for the same data and configuration, however often it was stopped."""

import logging
from collections.abc import Callable
from pathlib import Path

from karma.artefact import ArtefactError, Provenance, export_encoder
from karma.config import TrainingConfig
from karma.manifest import CODE_VERSIONS, file_digest, value_digest, verify
from karma.precision import training_device, wants_bf16
from karma.threads import torch_threads
from karma.training.checkpoint import StateFolder
from karma.training.data import Meta, read_meta, read_training_data
from karma.training.group import Group
from karma.training.run import Run

log = logging.getLogger("karma.training")


def version_of(config: TrainingConfig, meta: Meta) -> str:
    """``<name>-<12 hex digits>`` of the data's fingerprint, the configuration, the files of pretrained models, the code's versions, and
    where and how precisely this machine computes; not of the tables' versions, which go on while the data of then stay the same."""
    device = training_device()
    code = (*CODE_VERSIONS, (device.type, wants_bf16(config.precision, device)))
    digest = value_digest(meta.model_dump(mode="json", exclude={"tables"}), config.model_dump(mode="json"), pretrained_files(config), *code)
    return f"{config.name}-{digest[:12]}"


def pretrained_files(config: TrainingConfig) -> list[dict[str, str]]:
    """sha256 by file name of the folders that backbone and text encoder come from; empty for one that comes from no folder."""
    return [_source_files(source.source) for source in (config.backbone, config.text_encoder)]


def _source_files(source: str | None) -> dict[str, str]:
    """sha256 of each file of a pretrained model that is a folder, so that its content counts and not only its path."""
    folder = Path(source) if source else None
    if folder is None or not folder.is_dir():
        return {}
    return {path.name: file_digest(path) for path in sorted(folder.iterdir()) if path.is_file()}


def train(
    config: TrainingConfig, data: Path, out: Path, *, state: Path | None = None, progress: bool = True,
    observer: Callable[[int, Run], None] | None = None,
) -> Path:  # fmt: skip
    """Train an encoder, or find the one that the same data and configuration gave.

    In a process group (``karma.training.distributed``) every process calls it alike, and the first one writes.

    Args:
        data: training data folder (``karma.training.data``).
        out: the artefact is written to ``out/<version>/``.
        state: log, checkpoint, decoders and optimiser state go to ``state/<version>/``; by default beside ``out``, in ``training/``.
            A run that was stopped goes on from its checkpoint there.
        progress: show progress bars.
        observer: called with the step and the run after each validation, the one before the first step (0) included.

    Returns: the artefact's folder.

    Raises:
        TrainingDataError: the data cannot be read, or nothing can be learnt from it.
        PretrainedModelError: a pretrained model that the configuration names cannot be used.
        ValueError: the processes do not divide ``config.accumulate``.
        DivergedError: a loss is no longer finite.
        CollapseError: vectors or losses have collapsed (``karma.training.guard``).
    """
    group = Group.current(training_device())
    if config.accumulate % group.size:
        raise ValueError(f"{group.size} processes cannot share accumulate = {config.accumulate} micro-batches (config.for_processes)")
    version = version_of(config, read_meta(data))
    folder = Path(out) / version
    left = StateFolder((state or Path(out).parent / "training") / version)
    if group.from_first(group.is_first and _is_there(folder)):
        log.info("%s exists: nothing to train", folder)
        if group.is_first:
            left.finish()  # a run that was killed before it could
        return folder
    read = read_training_data(data, config.encoder.event_types, exposures=config.softmax.exposed > 0)
    nothing_shown = read.exposures is None or not len(read.exposures.items)
    if config.softmax.exposed and (nothing_shown or len(read.catalogue) <= config.softmax.full_up_to):
        reason = "the training data hold no impressions" if nothing_shown else "a full softmax has every item as a negative"
        log.warning("softmax.exposed = %d changes nothing: %s", config.softmax.exposed, reason)
    with torch_threads(config.threads):
        run = Run.of(config, read, progress=progress, group=group)
        run.observer = observer
        metrics = run.fit(left, progress=progress)
    if group.is_first:
        left.leave(run.learner, run.optimiser)  # first: once the artefact is there, nobody trains again
        export_encoder(folder, run.start.model, run.start.tokenizer, run.start.item_ids, provenance(version, config, read.meta, metrics))
        left.finish()
        log.info("%s: %s", folder, metrics)
    group.from_first(0)  # nobody returns before the artefact is there
    return folder


def _is_there(folder: Path) -> bool:
    try:
        verify(folder)
    except ArtefactError as error:
        if folder.exists():
            log.warning("trained again: %s", error)
        return False
    return True


def provenance(version: str, config: TrainingConfig, meta: Meta, metrics: dict[str, float]) -> Provenance:
    """What the manifest says of where the weights come from."""
    reads_images = config.encoder.use_visual
    return Provenance(
        version=version,
        trained_until=meta.trained_until.isoformat(),
        protocol=config.protocol,
        vision_spec=meta.vision_spec if reads_images else "",
        vision_digest=meta.vision_digest if reads_images else "",
        metrics=metrics,
        training_tables=meta.tables,
        data_fingerprint=meta.fingerprint,
        training=config.model_dump(mode="json"),
    )
