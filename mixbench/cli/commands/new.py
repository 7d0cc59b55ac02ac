"""The command `new`, which writes templates of a user's own files."""

from mixbench.cli.help import NEW_HELP
from mixbench.core.errors import UserError


def new(words: list[str]) -> int:
    """mixbench new: write a template, such as a study or a method, and print the next commands."""
    from mixbench.cli.flags import CONFIG_DIR, HELP, read
    from mixbench.config.new_files import KINDS, new_files

    flags = read(words, known=(*CONFIG_DIR, *HELP), folder_is_there=False)
    if flags.help or not flags.overrides:
        width = max(map(len, KINDS))
        kinds = "\n".join(f"  {kind:{width}}  {one.what}" for kind, one in KINDS.items())
        print(NEW_HELP.format(kinds=kinds), end="")
        return 0 if flags.help else 2
    if len(flags.overrides) != 2:
        given = " ".join(flags.overrides)
        raise UserError(f"{given}: must be a kind ({', '.join(KINDS)}) and a name, as in mixbench new method my-method")
    kind, name = flags.overrides
    written = new_files(kind, name, flags.config_dir)
    print("\n".join([*map(str, written.paths), "", "Next:", *(f"  {command}" for command in written.commands)]))
    return 0
