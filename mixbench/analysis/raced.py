"""The gains of settings that `mixbench decide` raced, from the stored runs. No torch.

Whoever looks after every round and stops when the answer is there needs wider intervals than after a fixed number of
runs. So the runs of a race are always compared as a race, whichever command shows them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mixbench.analysis.correct import Read
from mixbench.analysis.setting import Experiment, Raced, Setting
from mixbench.config.identity import own_evaluation_images
from mixbench.config.labels import distinguishing_keys
from mixbench.core.errors import UserError
from mixbench.runs import races
from mixbench.runs.races import Race
from mixbench.runs.store import store
from mixbench.runs.store.predictions import from_bits
from mixbench.runs.store.reading import Archive, PackedRun, Place
from mixbench.stats import Gain
from mixbench.stats.rounds import Rounds
from mixbench.stats.sequential import Standing, judge
from mixbench.stats.spending import FIRST
from mixbench.training.rules import RULES

SeenBy = Callable[[Mapping[str, Any] | None], Mapping[str, Any] | None]  # a run's test sets -> what it has of one


@dataclass(frozen=True)
class Stored:
    """A race and the place of its runs: their folder, or the archive that holds them."""

    race: Race
    runs: Path | Archive

    def place(self, run_id: str) -> Place:
        """Return the place of a run, which need not exist.

        run_id: name of the run.
        """
        return PackedRun(self.runs.path, run_id, self.runs) if isinstance(self.runs, Archive) else self.runs / run_id


def races_of(frame: pd.DataFrame) -> dict[str, Stored]:
    """Return the races in the folders of results and archives that runs come from: cell of the baseline -> race.

    frame: stored runs, one row each.
    Raises UserError if the record of a race is damaged: without it, the intervals of its runs would be too narrow.
    """
    if "folder" not in frame:
        return {}
    folders = {place.parent for place in frame["folder"] if isinstance(place, Path)}
    archives = {place.path: place.archive for place in frame["folder"] if isinstance(place, PackedRun)}
    found = [Stored(race, folder) for folder in sorted(folders) for race in races.read_all(folder.parent)]
    found += [Stored(race, archives[path]) for path in sorted(archives) for race in _packed(archives[path])]
    return {stored.race.entries[0].cell: stored for stored in found}


def records_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the records of the races that runs belong to, to pack them with the runs.

    frame: stored runs, one row each.
    Raises as `races_of`.
    """
    if not len(frame):
        return []
    names = {place.name for place in frame["folder"]}
    raced = [stored.race for stored in races_of(frame).values()]
    kept = [
        race
        for race in raced
        if any(entry.run_id(race.seeds(k)) in names for entry in race.entries for k in range(race.rounds))
    ]
    return [races.as_record(race) for race in sorted(kept, key=lambda race: race.setting)]


def _packed(archive: Archive) -> list[Race]:
    """Return the races of an archive. Raises UserError if a record is damaged."""
    try:
        return [races.of_record(record) for record in archive.races]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"{archive.path}: the record of a race in it is damaged ({error}); export it again") from error


def rounds_of(race: Race, most: int) -> Rounds:
    """Return the rounds of a race, before the first one.

    race: the race.
    most: largest number of rounds.
    """
    return Rounds(len(race.entries), race.margin, most, family=race.family)


def replay(stored: Stored, rule: str, read: Read) -> Raced | None:
    """Repeat a race from its stored runs.

    stored: the race.
    rule: name of the accuracy rule, a key of RULES.
    read: reads which images a run classifies correctly.
    Returns None if the runs of the first round are not complete.
    """
    race = stored.race
    rounds = rounds_of(race, race.rounds)
    for method, entry in enumerate(race.entries[1:], 1):
        if not _is_stored(stored.place(entry.run_id(race.seeds(0)))):
            rounds.leave_out(method)  # it joined later, and its first run was stopped or has failed
    seconds: list[float] = []
    while missing := rounds.missing:
        for method, round_ in missing:
            place = stored.place(race.entries[method].run_id(race.seeds(round_)))
            try:
                metrics = store.read_metrics(place)
            except (OSError, ValueError):
                break
            seconds.append(float(metrics.get("seconds") or 0.0))
            rounds.add(method, round_, metrics[RULES[rule].key], _correct(race, place, read))
        else:
            rounds.judge()
            continue
        break
    if rounds.standing is None:
        return None
    return Raced(
        names=names_of(race),
        cells=[entry.cell for entry in race.entries],
        standing=rounds.standing,
        margin=race.margin,
        runs=rounds.runs,
        seconds=sum(seconds) / len(seconds) if all(seconds) else None,
    )


def _is_stored(place: Place) -> bool:
    try:
        return bool(store.read_metrics(place))
    except (OSError, ValueError):
        return False


def _correct(race: Race, place: Place, read: Read) -> np.ndarray | None:
    """Return which test images a run classifies correctly; None if every round has test images of its own."""
    return None if own_evaluation_images(race.entries[0].identity) else read(place)


def names_of(race: Race) -> list[str]:
    """Return the names of a race's methods: the method, and the keys that distinguish it from the others.

    race: the race.
    """
    rows = [entry.identity | {"method": entry.name} for entry in race.entries]
    keys = distinguishing_keys(rows, ["method"], [key for row in rows for key in row if key.startswith("method.")])
    return [
        ", ".join([row["method"], *(f"{key.removeprefix('method.')}={row[key]}" for key in keys if key in row)])
        for row in rows
    ]


def set_gains(setting: Setting, frame: pd.DataFrame, stored: Stored, rule: str, read: Read) -> None:
    """Set the race of a setting and the gains of its methods. A method that was not in the race gets no interval.

    setting: a setting with a baseline.
    frame: the runs that the experiments' places refer to.
    stored: the race at the setting.
    rule: name of the accuracy rule, a key of RULES.
    read: reads which images a run classifies correctly.
    """
    found = replay(stored, rule, read)
    if found is None:
        for method in setting.methods:
            method.gain = _plain(setting, method)
        return
    setting.race = found
    setting.baseline_may_be_best = None if found.standing.rounds < FIRST else not found.standing.worse[0]
    for method in setting.methods:
        cell = frame.at[method.places[0], "cell"]
        known = cell in found.cells
        method.gain = gain_of(found.standing, found.cells.index(cell)) if known else _plain(setting, method)


def set_gains_on_test_set(setting: Setting, frame: pd.DataFrame, stored: Stored, found: Raced, seen: SeenBy) -> None:
    """Set the gains of the methods of a race on a further test set, by the bounds that hold after every round.

    setting: the setting on the test set, with a baseline.
    frame: the runs that the experiments' places refer to.
    stored: the race.
    found: what it says about the images on which it was decided.
    seen: test sets of a run -> what it stored of this one; None if it has not seen it.
    """
    standing = _standing_on(stored, found.standing.rounds, seen)
    for method in setting.methods:
        cell = frame.at[method.places[0], "cell"]
        if standing is not None and cell in found.cells:
            method.gain = gain_of(standing, found.cells.index(cell))
        else:
            method.gain = _plain(setting, method)


def _standing_on(stored: Stored, rounds: int, seen: SeenBy) -> Standing | None:
    """Return what the runs of a race say about their methods on a further test set; None without the baseline there."""
    race = stored.race
    accuracies = np.full((rounds, len(race.entries)), np.nan)
    arrays: dict[tuple[int, int], np.ndarray | None] = {}
    for round_, method in np.ndindex(*accuracies.shape):
        try:
            metrics = store.read_metrics(stored.runs / race.entries[method].run_id(race.seeds(round_)))
        except (OSError, ValueError):
            continue
        of_set = seen(metrics.get("test_sets"))
        if of_set is not None:
            accuracies[round_, method] = of_set["accuracy"]
            try:
                arrays[round_, method] = from_bits(of_set)
            except ValueError:
                arrays[round_, method] = None
    if np.isnan(accuracies[:, 0]).all():
        return None
    sizes = {0 if array is None else len(array) for array in arrays.values()}
    correct = None
    if len(sizes) == 1 and min(sizes) > 1:
        correct = np.zeros((*accuracies.shape, sizes.pop()), bool)
        for place, array in arrays.items():
            correct[place] = array
    absent = np.flatnonzero(np.isnan(accuracies).all(axis=0)).tolist()
    return judge(accuracies, margin=race.margin, correct=correct, family=race.family, left_out=absent)


def gain_of(standing: Standing, method: int) -> Gain | None:
    """Return the gain of a method in a race; None before the first round with both.

    standing: what is known of the race.
    method: index of the method, not 0.
    """
    at = method
    if not standing.pairs[at]:
        return None
    known = bool(np.isfinite(standing.low[at]))
    mean = float(standing.gain[at])
    return Gain(
        mean=mean,
        interval=(float(standing.low[at]), float(standing.high[at])) if known else None,
        p=None,
        expected=mean,
        sd=_or_none(standing.sd[at]),
        image_sd=_or_none(standing.image_sd[at]),
        pairs=int(standing.pairs[at]),
        units=int(standing.pairs[at]),
        over="subsets",
        may_be_best=not standing.worse[at] if known else None,
    )


def _plain(setting: Setting, method: Experiment) -> Gain | None:
    """Return the mean difference to the baseline without an interval, for a method outside the race."""
    baseline = setting.baseline.runs if setting.baseline else {}
    differences = [accuracy - baseline[key] for key, accuracy in method.runs.items() if key in baseline]
    if not differences:
        return None
    mean, count = float(np.mean(differences)), len(differences)
    return Gain(
        mean=mean,
        interval=None,
        p=None,
        expected=mean,
        sd=None,
        image_sd=None,
        pairs=count,
        units=count,
        over="subsets",
        may_be_best=None,
    )


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
