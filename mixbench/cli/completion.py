"""Shell completion for bash and zsh."""

import contextlib
import os
from collections.abc import Sequence

from mixbench.config.options import names
from mixbench.core.errors import UserError, unknown
from mixbench.core.groups import GROUPS

# In bash, `=` must not separate words, as in method=cutmix. In zsh, ${=…} splits the words.
BASH_SCRIPT = """\
_mixbench() {
    COMPREPLY=($(COMP_LINE="${COMP_LINE:0:COMP_POINT}" mixbench -sc query=bash 2>/dev/null))
}
COMP_WORDBREAKS=${COMP_WORDBREAKS//=}
complete -o nospace -o default -F _mixbench mixbench
"""
ZSH_SCRIPT = """\
_mixbench() {
    local -a found
    found=(${=$(COMP_LINE="${(j: :)words[1,CURRENT]}" mixbench -sc query=zsh 2>/dev/null)})
    compadd -S '' -- $found
}
compdef _mixbench mixbench
"""
SCRIPTS = {"install=bash": BASH_SCRIPT, "install=zsh": ZSH_SCRIPT}
QUERIES = ("query=bash", "query=zsh")
TAKES_STUDY = ("study", "decide", "table", "plot", "report", "status", "export")
TAKES_KEYS = ("run", "sweep", "tune", "gallery", "generate", *TAKES_STUDY)
TABLE_OPTIONS = ("rows=", "columns=", "rule=", "results_dir=", "out=")


def complete(words: Sequence[str], commands: Sequence[str]) -> int:
    """Print the completion script of a shell, or the completions of the line in COMP_LINE.

    words: -sc, and install=bash, install=zsh, query=bash or query=zsh.
    commands: names of the commands.
    Returns the exit status 0. Raises UserError for another word.
    """
    asked = " ".join(words[1:])
    if asked in SCRIPTS:
        print(SCRIPTS[asked], end="")
        return 0
    if asked not in QUERIES:
        raise unknown(words[0], asked, [*SCRIPTS, *QUERIES])
    line = os.environ.get("COMP_LINE", "mixbench ")
    current = line.split()[-1] if line and not line[-1].isspace() else ""
    typed = line.removesuffix(current).split()[1:]
    found = list(commands) if not typed else _completions(typed[0], typed[1:], current)
    print(" ".join(word for word in dict.fromkeys(found) if word.startswith(current)))
    return 0


def _completions(command: str, rest: Sequence[str], current: str) -> list[str]:
    """Return everything that the current word of a command can be, whatever it begins with."""
    if command == "list":
        return [group.listed for group in GROUPS.values() if group.listed]
    if command == "new":
        from mixbench.config.new_files import KINDS

        return [] if rest else list(KINDS)
    if command == "check":
        return names("method")
    found: list[str] = []
    if command in TAKES_STUDY:
        found += names("study")
    if command in ("table", "plot", "report"):
        found += TABLE_OPTIONS
    if command == "tune":
        from mixbench.tune.asked import OPTIONS

        found += [f"{option}=" for option in OPTIONS]
    if command == "generate":
        from mixbench.cli.commands.generate import KEYS

        found += [f"{key}=" for key in KEYS]
    if command == "audit":
        from mixbench.cli.commands.audit import is_key

        with contextlib.suppress(UserError):
            found += [word for word in _keys(rest, current) if is_key(word.partition("=")[0])]
    if command in TAKES_KEYS:
        with contextlib.suppress(UserError):  # an unfinished line can have any mistake
            found += _keys(rest, current)
    return found


def _keys(rest: Sequence[str], current: str) -> list[str]:
    """Return groups and keys with an equals sign or, if one has been typed, the options of the group."""
    from mixbench.cli.flags import read
    from mixbench.config.compose import Composer
    from mixbench.config.keys import keys_of_group, keys_of_run

    flags = read(rest)
    with Composer(flags.config_dir) as composer:
        key, equals, _ = current.partition("=")
        if equals:
            return [f"{key}={option}" for option in composer.options(key)] if key in GROUPS else []
        group = key.partition(".")[0]
        if "." not in key:
            below = [f"{name}." for name in GROUPS if name != "study"]
            return [*(f"{name}=" for name in GROUPS), *(f"{one.name}=" for one in keys_of_run(composer)), *below]
        if group not in GROUPS or group == "study":
            return []
        chosen = [word.partition("=")[2] for word in flags.overrides if word.startswith(f"{group}=")]
        known = composer.options(group)
        option = chosen[-1] if chosen and chosen[-1] in known else composer.default(group)
        return [f"{one.name}=" for one in keys_of_group(composer, group, option, flags.config_dir)]
