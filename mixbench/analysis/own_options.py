"""Finds the options of a user's own folder, or of an installed package, that cannot be run. Nothing is trained."""

from pathlib import Path

from mixbench.analysis.select import Options, check_shown
from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.config.options import shipped
from mixbench.core import own_functions
from mixbench.core.errors import UserError, one_line
from mixbench.runs import study
from mixbench.training.validate import check_functions


def unfit(group: str, config_dir: str | None) -> dict[str, str]:
    """Return the options of a user's own folder, or of an installed package, that cannot be run.

    group: config group, such as method.
    config_dir: the user's folder.
    Returns option -> reason.
    """
    own = sorted(file.stem for file in (Path(config_dir) / group).glob("*.yaml")) if config_dir else []
    own += sorted(own_functions.offered(group).keys() - shipped(group) - {*own})
    if not own:
        return {}
    reasons = {}
    with Composer(config_dir) as composer:
        for name in own:
            try:
                if group == "study":
                    check_shown(study.plan(composer, name), Options())
                elif group == "dataset":  # its images are checked when they are used
                    composer.compose([f"dataset={name}"])
                else:
                    check_functions(job(composer.compose([f"{group}={name}"])).cfg)
            except UserError as error:
                reasons[name] = one_line(str(error))
    return reasons
