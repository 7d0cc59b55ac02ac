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
from mixbench.tune.space import Variable

FOLDER = "tune"  # in the folder of the results


@dataclass(frozen=True)
class Trial:
    """A trial of a method.

    candidate: the method.
    number: its number, from 0; 0 has the default settings.
    settings: the settings that were suggested.
    job: the run; None: the settings do not fit together.
    accuracy: validation accuracy in percent; None: there is none.
    note: why there is none, or a remark on the run.
    trained: whether the run was trained by this command.
    seconds: time of training; None: not known.
    """

    candidate: Candidate
    number: int
    settings: list[Assignment]
    job: Job | None
    accuracy: float | None = None
    note: str = ""
    trained: bool = False
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
        return [one for one in self.found if one.job is not None and one.accuracy is None]


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
            | {"run": "" if one.job is None else one.job.id, "note": one.note}
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
    trained_on: number of images that a trial trains on.
    validated_on: number of images that it is validated on.
    optuna: version of Optuna.
    """
    default = planned.candidates[0].default
    lines = []
    for candidate in planned.candidates:
        of_one, winner = trials.of(candidate), trials.winner(candidate)
        chosen = (
            ["–", "–", "–"] if winner is None else [settings_text(winner), accuracy_text(winner), str(winner.number)]
        )
        lines.append([candidate.shown_name, str(len(of_one)), accuracy_text(of_one[0]), *chosen])
    headers = ["method", "trials", "default settings", "chosen settings", "validation accuracy", "in trial"]
    commands = []
    for candidate in planned.candidates:
        if (winner := trials.winner(candidate)) is not None:
            commands.append(shlex.join(["mixbench", "run", *map(str, candidate.words), *map(str, winner.settings)]))
    return (
        "\n\n".join(
            [
                md.heading(1, f"Tuning on {default.identity['dataset']}, n = {default.identity['n']}"),
                md.paragraph(meaning(trained_on, validated_on)),
                md.table(headers, lines),
                md.paragraph(
                    "The validation accuracies only chose the settings. That of the chosen ones is too high, because it is "
                    "the largest of several, and it says nothing about the methods. What the methods gain is in report.md, "
                    "if the winners were confirmed."
                ),
                md.paragraph("These commands train the winners:"),
                "\n".join(f"    {command}" for command in commands),
                md.paragraph(f"Searched: {', '.join(map(str, _spaces(planned)))}. Sampler: TPE of Optuna {optuna}."),
            ]
        )
        + "\n"
    )


def meaning(trained_on: int, validated_on: int) -> str:
    """Return what a trial is, and how finely its accuracy can tell settings apart.

    trained_on: number of images that a trial trains on.
    validated_on: number of images that it is validated on.
    """
    return (
        f"Each trial trains on {trained_on:,} of the {trained_on + validated_on:,} images and is validated on the other "
        f"{validated_on:,}, so one image is {100 / validated_on:.2g} percentage points."
    )


def accuracy_text(one: Trial) -> str:
    """Return the validation accuracy of a trial for readers.

    one: the trial.
    """
    return "failed" if one.accuracy is None else f"{one.accuracy:.2f} %"


def _spaces(planned: Plan) -> list[Variable]:
    """Return every range and choice once."""
    return list(dict.fromkeys(variable for candidate in planned.candidates for variable in candidate.space))
