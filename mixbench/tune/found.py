"""What tuning found: the trials of all methods, the winner of each, and the files that say so."""

import shlex
from dataclasses import dataclass, field
from pathlib import Path

from mixbench.config.assignments import Assignment
from mixbench.config.identity import Job
from mixbench.config.overrides import text
from mixbench.core import files
from mixbench.core import markdown as md
from mixbench.runs.commit import csv_text
from mixbench.tune.plan import Candidate, Plan

FOLDER = "tune"  # in the folder of the results
ALIGN = ["left", "right", "right", "left", "right", "right"]  # columns of the table of winners


@dataclass(frozen=True)
class Trial:
    """A trial of a method.

    candidate: the method.
    number: its number, from 0; 0 has the default settings.
    settings: the settings that were suggested.
    jobs: its runs; none if the settings do not fit together.
    accuracy: validation accuracy in percent, the mean over the runs; None: there is none.
    note: why there is none, or a remark on the runs.
    seconds: time of the runs that were trained now; None: all were finished before.
    """

    candidate: Candidate
    number: int
    settings: list[Assignment]
    jobs: list[Job]
    accuracy: float | None = None
    note: str = ""
    seconds: float | None = None


@dataclass
class Trials:
    """The trials of a command.

    found: the trials, in the order in which they were made.
    interrupted: whether the user asked to stop.
    """

    found: list[Trial] = field(default_factory=list)
    interrupted: bool = False

    def of(self, candidate: Candidate) -> list[Trial]:
        """Return the trials of a method, in order.

        candidate: the method.
        """
        return [one for one in self.found if one.candidate is candidate]

    def winner(self, candidate: Candidate) -> Trial | None:
        """Return a method's trial with the highest validation accuracy; of equal ones, the earliest.

        candidate: the method.
        Returns None if no trial has an accuracy.
        """
        measured = [(one.accuracy, -one.number, one) for one in self.of(candidate) if one.accuracy is not None]
        return max(measured, key=lambda entry: entry[:2])[2] if measured else None

    @property
    def failed(self) -> list[Trial]:
        """The trials that were trained and failed."""
        return [one for one in self.found if one.jobs and one.accuracy is None]


def folder(planned: Plan) -> Path:
    """Return the folder of the tables and the report of a command.

    planned: the plan.
    """
    return Path(planned.results_dir) / FOLDER / planned.name


def write_trials(planned: Plan, trials: Trials) -> Path:
    """Write trials.csv, with one row for each trial so far.

    planned: the plan.
    trials: at least one trial.
    Returns its path. Raises CannotWrite.
    """
    rows = []
    for one in trials.found:
        settings = one.candidate.defaults | {setting.key: setting.value for setting in one.settings}
        rows.append(
            {"method": one.candidate.option, "trial": one.number}
            | {key: text(settings[key]) if key in settings else "" for key in planned.asked.tuned}
            | {"validation_accuracy": "" if one.accuracy is None else one.accuracy}
            | {"runs": " ".join(job.id for job in one.jobs), "note": one.note}
        )
    (path,) = files.write_all({folder(planned) / "trials.csv": csv_text(rows)})
    return path


def settings_text(one: Trial) -> str:
    """Return the settings of a trial for readers, such as `method.alpha=0.3 train.lr=0.05`.

    one: the trial.
    """
    chosen = [f"{setting.key}={text(setting.value)}" for setting in one.settings]
    return " ".join(chosen) or "default settings"


def overview(planned: Plan, trials: Trials, trained_on: int, validated_on: int, optuna: str) -> str:
    """Return the content of tuning.md: what was tuned, the winners, and how to train them.

    planned: the plan.
    trials: all trials.
    trained_on: number of images that a run of a trial trains on.
    validated_on: number of images that it is validated on.
    optuna: version of Optuna.
    """
    identity = planned.candidates[0].default.identity
    winners = [(one, trials.winner(one)) for one in planned.candidates]
    headers = ["method", "trials", "default settings", "chosen settings", "validation accuracy", "in trial"]
    lines, commands = [], []
    for candidate, winner in winners:
        chosen = ["–", "–", "–"]
        if winner is not None:
            chosen = [settings_text(winner), accuracy_text(winner), str(winner.number)]
            commands.append(shlex.join(["mixbench", "run", *map(str, [*candidate.words, *winner.settings])]))
        of_one = trials.of(candidate)
        lines.append([candidate.shown_name, str(len(of_one)), accuracy_text(of_one[0]), *chosen])
    searched = dict.fromkeys(str(variable) for candidate in planned.candidates for variable in candidate.space)
    parts = [
        md.heading(1, f"Tuning on {identity['dataset']}, n = {identity['n']}"),
        md.paragraph(meaning(planned, trained_on, validated_on)),
        md.table(headers, lines, ALIGN),
        md.paragraph(
            "Validation accuracies only choose settings. The chosen one is the largest of several, so it is too high, "
            "and it says nothing about which method is better. Only the confirmation says that."
        ),
        *(["These commands train the winners:", "\n".join(f"    {line}" for line in commands)] if commands else []),
        md.paragraph(f"Searched: {', '.join(searched)}. Sampler: TPE of Optuna {optuna}."),
    ]
    return "\n\n".join(parts) + "\n"


def meaning(planned: Plan, trained_on: int, validated_on: int) -> str:
    """Return what a trial is, and how finely its accuracy can tell settings apart.

    planned: the plan.
    trained_on: number of images that a run of a trial trains on.
    validated_on: number of images that it is validated on.
    """
    splits, each = planned.asked.splits, "Each trial trains"
    if splits > 1:
        each = f"A trial is the mean of {splits} runs with other splits of the images. Each run trains"
    return (
        f"{each} on {trained_on:,} of the {trained_on + validated_on:,} images and is validated on the other "
        f"{validated_on:,}, so one image is {100 / validated_on / splits:.2g} percentage points."
    )


def accuracy_text(one: Trial) -> str:
    """Return the validation accuracy of a trial for readers.

    one: the trial.
    """
    return "failed" if one.accuracy is None else f"{one.accuracy:.2f} %"
