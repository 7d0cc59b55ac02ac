"""The section of a report on methods over several settings: a description, without significance. No torch."""

from collections.abc import Sequence

from mixbench.analysis.report.blocks import Section, Table, Text
from mixbench.analysis.setting import Experiment, Setting
from mixbench.stats.across import average_ranks, performance_profile, probability_of_improvement

WITHIN = (1, 2, 5)  # percentage points behind the best method of a setting


def across(settings: Sequence[Setting]) -> list[Section]:
    """Return the section on methods that have runs in several settings; no section if there are none.

    settings: the selection's settings, from analysis.compare.
    """
    found = [{e.shown_name: e for e in setting.experiments} for setting in settings if setting.baseline]
    names = [name for name in (found[0] if found else {}) if all(name in of_setting for of_setting in found)]
    if len(found) < 2 or len(names) < 2:
        return []
    runs = {name: [_accuracies(of_setting[name]) for of_setting in found] for name in names}
    ranks = average_ranks([{name: runs[name][k] for name in names} for k in range(len(found))])
    best = [max(of_setting[name].summary.mean for name in names) for of_setting in found]
    baseline = next(name for name in names if found[0][name].gain is None)
    lines = []
    for name in sorted(names, key=ranks.__getitem__):
        gains = [gain.mean for of_setting in found if (gain := of_setting[name].gain)]
        profile = [f"{100 * share:.0f} %" for share in performance_profile(runs[name], best, WITHIN)]
        improved = probability_of_improvement(runs[name], runs[baseline])
        mean = f"{sum(gains) / len(gains):+.2f}" if gains else "–"
        lines.append(
            [name, f"{ranks[name]:.1f}", mean, "–" if name == baseline else f"{100 * improved:.0f} %", *profile]
        )
    meaning = (
        f"All {len(found)} settings count alike. Rank 1 has the highest mean accuracy; only methods with runs in "
        "every setting take part. The chance of improvement is the probability that a run of the method is more "
        "accurate than a run without mixing. The last columns give the share of runs that are at most so many "
        "percentage points behind the best method of their setting. This describes the runs: it is no test."
    )
    headers = ["method", "average rank", "mean gain", "chance of improvement", *(f"within {w}" for w in WITHIN)]
    return [Section("Over all settings", [Text(meaning), Table(headers, lines)])]


def _accuracies(experiment: Experiment) -> list[float]:
    return list(experiment.runs.values())
