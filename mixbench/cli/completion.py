"""Shell completion for bash and zsh: Hydra's, taught about subcommands and studies."""

import contextlib
import io
import os
from collections.abc import Sequence

from mixbench.cli.flags import Flags, show
from mixbench.config.options import names

# Hydra's script for bash counts on unquoted words being split, which zsh does not do: this is zsh's own way.
ZSH_SCRIPT = """\
_mixbench() {
    local -a found
    found=(${=$(COMP_LINE="${(j: :)words[1,CURRENT]}" mixbench -sc query=zsh 2>/dev/null)})
    compadd -S '' -- $found
}
compdef _mixbench mixbench
"""
TAKES_STUDY = ("study", "table", "plot", "status", "export")
TABLE_OPTIONS = ("rows=", "columns=", "rule=", "results_dir=", "out=")


def complete(words: Sequence[str], commands: Sequence[str]) -> int:
    """`-sc install=bash` or `=zsh` prints the script to evaluate; `-sc query=bash` completes the line in COMP_LINE.

    Hydra completes overrides only: the subcommand and a study's name are taken out of the line it sees, and completed
    here.
    """
    asked = list(words[1:])
    if asked == ["install=zsh"]:
        print(ZSH_SCRIPT, end="")
        return 0
    if not asked or not asked[0].startswith("query="):
        return show(Flags(for_hydra=["-sc"]), asked or ["install=bash"])
    line = os.environ.get("COMP_LINE", "mixbench ")
    current = line.split()[-1] if line and not line[-1].isspace() else ""
    typed = line.removesuffix(current).split()[1:]
    if not typed:
        print(" ".join(command for command in commands if command.startswith(current)))
        return 0
    command, rest = typed[0], typed[1:]
    found: list[str] = []
    if command == "list":
        found = ["methods", "datasets", "models", "augments", "losses", "studies"]
    if command in TAKES_STUDY:
        studies = names("study")
        rest = [word for word in rest if word not in studies]
        found += studies + list(TABLE_OPTIONS if command in ("table", "plot") else ())
    found = [word for word in found if word.startswith(current)]
    if command in ("run", "sweep", "gallery", *TAKES_STUDY):
        found += _from_hydra(asked, " ".join(["mixbench", *rest, current]))
    print(" ".join(found))
    return 0


def _from_hydra(asked: Sequence[str], line: str) -> list[str]:
    os.environ["COMP_LINE"] = line
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
        show(Flags(for_hydra=["-sc"]), asked)
    return printed.getvalue().split()
