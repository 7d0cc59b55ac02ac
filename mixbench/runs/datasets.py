"""The data sets of one command: each is listed, loaded and audited once. No torch."""

from collections.abc import Callable, Iterator, Sequence

from omegaconf import DictConfig

from mixbench import data
from mixbench.config.identity import Job
from mixbench.core.pictures import COLUMNS
from mixbench.data.sources.pictures.listing import Listing
from mixbench.runs import audits


class Datasets:
    """The data sets of one command. Every step of it, from the first check to the last run, gets them from here.

    Decoded pictures are read from the cache in the folder of the results. They are written there by `keep`, so that a
    command that is refused, or a dry run, writes nothing.

    say: called with a line of text before anything that takes long, and on files that are left out.
    """

    def __init__(self, say: Callable[[str], None]):
        self._say = say
        self._to_keep: list[Callable[[], None]] = []
        self._listings: dict[tuple, Listing | None] = {}
        self._labels: dict[tuple, data.Dataset] = {}
        self._loaded: dict[tuple, data.Dataset] = {}
        self._audited: set[tuple[str, str]] = set()
        self.told: set[tuple[str, str]] = set()  # data and test sets of which a warning was given

    def of(self, job: Job) -> data.Dataset:
        """Return the data set of a job.

        job: the run.
        Raises UserError if it cannot be loaded.
        """
        return self.load(job.cfg)

    def load(self, cfg: DictConfig) -> data.Dataset:
        """Return the data set of a configuration. It is loaded once for all runs that use it.

        cfg: the validated configuration of a run.
        Raises UserError if it cannot be loaded.
        """
        key = data.key_of(cfg)
        if key not in self._loaded:
            self._loaded[key] = data.load_for(cfg, self._say, listing=self._listing(cfg), keep=self._to_keep.append)
        return self._loaded[key]

    def labels(self, cfg: DictConfig) -> data.Dataset:
        """Return what is needed to check a run: labels and sizes. No image is read, and nothing is downloaded.

        cfg: the validated configuration of a run.
        Returns the whole data set if it is loaded, otherwise one whose images can be black.
        Raises UserError if the user's files cannot be used.
        """
        key = data.key_of(cfg)
        if key in self._loaded:
            return self._loaded[key]
        if key not in self._labels:
            self._labels[key] = data.load_labels_for(cfg, self._listing(cfg))
        return self._labels[key]

    def keep(self) -> None:
        """Write the pictures that were decoded to the cache."""
        while self._to_keep:
            self._to_keep.pop()()

    def problems(self, jobs: Sequence[Job]) -> Iterator[str]:
        """Yield the problems of the user's own data that these jobs train on, once for each data set.

        jobs: runs that have been checked.
        """
        for job in jobs:
            key = (job.cfg.dataset.name, job.cfg.eval)
            if key not in self._audited:
                self._audited.add(key)
                yield from audits.problems(self.of(job), job.cfg)

    def _listing(self, cfg: DictConfig) -> Listing | None:
        """Return the picture files of a run. Neither their size nor the evaluation changes them."""
        dataset = cfg.dataset
        key = (dataset.source, dataset.path, *(dataset.get(f"{column}_column") for column in COLUMNS))
        if key not in self._listings:
            self._listings[key] = data.listing_for(cfg)
        return self._listings[key]
