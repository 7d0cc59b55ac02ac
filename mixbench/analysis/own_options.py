"""Which of a user's own options can be run: each file of a configuration folder is tried without training."""

from pathlib import Path

from mixbench.analysis.select import Options, check_shown
from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.core.errors import UserError, one_line
from mixbench.runs import study
from mixbench.training import loop


def unfit(group: str, config_dir: str) -> dict[str, str]:
    """The options of a user's own folder that cannot be run.

    group: of the configuration, such as method.
    config_dir: the user's folder.
    Returns option -> why it cannot be run.
    """
    reasons = {}
    with Composer(config_dir) as composer:
        for file in sorted((Path(config_dir) / group).glob("*.yaml")):
            try:
                if group == "study":
                    check_shown(study.plan(composer, file.stem), Options())
                elif group == "dataset":  # its images are looked at when they are used
                    composer.compose([f"dataset={file.stem}"])
                else:
                    loop.check(job(composer.compose([f"{group}={file.stem}"])).cfg)
            except UserError as error:
                reasons[file.stem] = one_line(str(error))
    return reasons
