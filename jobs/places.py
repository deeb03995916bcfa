"""Where things lie under one root folder; the only module that joins these paths."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """Paths under ``root``: a local folder, or any URI that Spark can write for ``warehouse`` and ``landing``.

    Attributes:
        root: the folder that a command owns, such as ``var/demo``.
        landing_override: the landing zone where it is not ``<root>/landing``.
        warehouse_override: the tables where they are not in ``<root>/warehouse``: on a cluster, a URI that every node reaches, while
            ``root`` is a folder of the driver alone.
    """

    root: str
    landing_override: str | None = None
    warehouse_override: str | None = None

    @property
    def warehouse(self) -> str:
        return self.warehouse_override or f"{self.root}/warehouse"

    @property
    def landing(self) -> str:
        return self.landing_override or f"{self.root}/landing"

    def table(self, name: str) -> str:
        return f"{self.warehouse}/{name}"

    def landing_partition(self, table: str, ds: str) -> str:
        return f"{self.landing}/{table}/ds={ds}"

    @property
    def encoders(self) -> Path:
        return Path(self.root) / "encoders"

    @property
    def training(self) -> Path:
        return Path(self.root) / "training"

    @property
    def node_files(self) -> Path:
        """Files that a job ships to every node: packed encoders, item vectors."""
        return Path(self.root) / "node_files"

    @property
    def mended(self) -> Path:
        """What people made of quarantined rows."""
        return Path(self.root) / "mended"

    @property
    def data_docs(self) -> Path:
        return Path(self.root) / "data_docs"

    @property
    def report(self) -> Path:
        return Path(self.root) / "report"

    @property
    def summary(self) -> Path:
        """What the command left, as JSON: rows per table, gate verdicts, metrics, places."""
        return Path(self.root) / "summary.json"

    def landing_bulk(self, table: str) -> Path:
        """Where a whole history lands at once, in place of one folder a day."""
        return Path(self.landing) / table / "bulk"
