"""Records of races: which methods were ever trained in rounds at a setting, and how far the rounds went.

`mixbench decide` looks at the results after every round, and so needs other intervals than runs whose number was fixed
beforehand. A record in results/races marks the runs of a setting as such a race, for every table and report, and keeps
all methods that were ever tried there. The results themselves are those of the runs. No torch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mixbench.config.identity import INERT, cell_hash, run_id
from mixbench.config.validate import SEEDS
from mixbench.core import files
from mixbench.core.baseline import BASELINE
from mixbench.core.errors import UserError
from mixbench.runs.store import locks

FOLDER = "races"
SCHEMA = 1
WAIT = 10.0  # seconds for another process that writes the same record


@dataclass(frozen=True)
class Entry:
    """A method in a race.

    name: the method's name in tables.
    identity: its identity without the seeds.
    """

    name: str
    identity: dict[str, Any]

    @property
    def cell(self) -> str:
        """What all its runs have in common."""
        return cell_hash(self.identity)

    def run_id(self, seeds: tuple[int, int]) -> str:
        """Return the id of its run in one round.

        seeds: subset_seed and seed of the round.
        """
        subset_seed, seed = seeds
        return run_id(self.identity | {"subset_seed": subset_seed, "seed": seed})


@dataclass(frozen=True)
class Command:
    """What chose the methods of a race: a study or nothing, and words that hold for every round.

    study: name of a study; None: no study.
    words: KEY=VALUE texts without seeds, and without keys that do not change results.
    """

    study: str | None
    words: tuple[str, ...]


@dataclass(frozen=True)
class Race:
    """A race at a setting.

    setting: hash of the setting.
    entries: all methods that were ever in it, the baseline first.
    commands: the commands that chose them.
    first: subset_seed and seed of the first round; each round adds 1 to both.
    rounds: how many rounds were begun.
    margin: the last command's indifference margin, in percentage points.
    tried: cells of other methods with stored runs in the race's rounds. They are not raced, but somebody has seen them,
        and may have chosen the methods of the race by them. So they share the error with the others.
    """

    setting: str
    entries: tuple[Entry, ...]
    commands: tuple[Command, ...]
    first: tuple[int, int]
    rounds: int
    margin: float
    tried: frozenset[str] = frozenset()

    @property
    def family(self) -> int:
        """The number of methods that were ever tried at the setting."""
        return len({entry.cell for entry in self.entries} | self.tried)

    @property
    def setting_name(self) -> str:
        """Such as `digits, n = 50`."""
        identity = self.entries[0].identity
        return f"{identity['dataset']}, n = {identity['n']:,}"

    def seeds(self, round_: int) -> tuple[int, int]:
        """Return subset_seed and seed of a round.

        round_: number of the round, from 0.
        """
        return self.first[0] + round_, self.first[1] + round_

    def joined(self, other: "Race") -> "Race":
        """Return this race with the methods and commands of an earlier record of the same setting.

        other: the earlier record.
        """
        entries = {entry.cell: entry for entry in (*other.entries, *self.entries)}
        return replace(
            self,
            entries=tuple(entries.values()),
            commands=tuple(dict.fromkeys((*other.commands, *self.commands))),
            rounds=max(self.rounds, other.rounds),
            tried=self.tried | other.tried,
        )


def setting_of(identity: Mapping[str, Any]) -> str:
    """Return the hash of an identity without the method and the seeds. Runs with the same hash share a setting.

    identity: key -> value of everything that decides the outcome of a run.
    """
    return cell_hash({key: value for key, value in identity.items() if not _is_of_method(key)})


def without_seeds(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return an identity without the seeds.

    identity: key -> value of everything that decides the outcome of a run.
    """
    return {key: value for key, value in identity.items() if key not in SEEDS}


def lasting(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words that decide the outcome of runs.

    words: KEY=VALUE texts.
    """
    return tuple(word for word in words if word.partition("=")[0] not in INERT)


def read(root: Path, setting: str) -> Race | None:
    """Return the race at a setting; None if there was none.

    root: folder of the results.
    setting: hash of the setting.
    Raises UserError if its record is damaged.
    """
    path = _path(root, setting)
    try:
        return of_record(files.read_json(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: is damaged ({error}); delete it, and give the command of the race again") from error


def read_all(root: Path) -> Iterator[Race]:
    """Yield all races of a results folder.

    root: folder of the results.
    Raises UserError if a record is damaged: without it, the intervals of its runs would be too narrow.
    """
    for path in sorted((root / FOLDER).glob("*.json")):
        found = read(root, path.stem)
        if found is not None:
            yield found


def write(root: Path, race: Race) -> Race:
    """Store a race, with what the record of the setting has already, and return both together.

    root: folder of the results.
    race: the race.
    Raises CannotWrite if it cannot be written.
    """
    path = _path(root, race.setting)
    with files.writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with locks.hold(path.with_suffix(".lock"), WAIT):
            before = read(root, race.setting)
            race = race.joined(before) if before else race
            files.write_json(path, as_record(race))
    return race


def add(root: Path, record: Any) -> Race:
    """Store the record of a race that an archive holds, with what is stored of that setting already.

    root: folder of the results.
    record: what `as_record` made; it can be damaged.
    Returns the race. Raises ValueError if the record cannot be used, and CannotWrite.
    """
    try:
        race = of_record(record)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the record of a race is damaged ({error!r})") from error
    before = read(root, race.setting)
    if before is not None and before.first != race.first:
        raise ValueError(f"a race at {race.setting_name} began with other subsets here; its record is kept")
    return write(root, race)


def _path(root: Path, setting: str) -> Path:
    return root / FOLDER / f"{setting}.json"


def _is_of_method(key: str) -> bool:
    return key in (*SEEDS, "method", "protect") or key.startswith("method.")


def as_record(race: Race) -> dict[str, Any]:
    """Return a race as a JSON object.

    race: the race.
    """
    return {
        "schema": SCHEMA,
        "setting": race.setting,
        "entries": [{"name": entry.name, "identity": entry.identity} for entry in race.entries],
        "commands": [{"study": command.study, "words": list(command.words)} for command in race.commands],
        "first": list(race.first),
        "rounds": race.rounds,
        "margin": race.margin,
        "tried": sorted(race.tried),
    }


def of_record(record: Mapping[str, Any]) -> Race:
    """Return the race of a JSON object.

    record: what `as_record` made.
    Raises KeyError, TypeError, AttributeError or ValueError if it is damaged or of another schema.
    """
    if record["schema"] != SCHEMA:
        raise ValueError(f"schema {record['schema']}")
    entries = [Entry(str(one["name"]), dict(one["identity"])) for one in record["entries"]]
    if len(entries) < 2 or entries[0].identity["method"] != BASELINE:
        raise ValueError("no baseline")
    if record["setting"] != setting_of(entries[0].identity):
        raise ValueError("its name does not match its settings")
    subset_seed, seed = map(int, record["first"])
    return Race(
        setting=str(record["setting"]),
        entries=tuple(entries),
        commands=tuple(Command(one["study"], tuple(map(str, one["words"]))) for one in record["commands"]),
        first=(subset_seed, seed),
        rounds=int(record["rounds"]),
        margin=float(record["margin"]),
        tried=frozenset(map(str, record.get("tried", []))),  # records of the first version have none
    )
