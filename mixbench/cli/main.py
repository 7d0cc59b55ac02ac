"""The command line: argv -> command and its words; one-line errors."""

import sys
from collections.abc import Callable, Sequence

from mixbench.cli import streams
from mixbench.cli.commands import COMMANDS
from mixbench.cli.flags import DRY_RUN, SHOWS
from mixbench.cli.help import HELP
from mixbench.core.errors import CannotWrite, UserError, one_line, unknown
from mixbench.core.version import __version__

# Commands that do more than write to standard output.
WORKS = ("run", "sweep", "study", "new", "clean", "export", "import")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, 1 (a run failed), 2 (a user's mistake) or 130 (Ctrl-C).

    argv: the words after the program's name; None for those of this process, whose output is then made safe: what
    cannot be written ends nothing. It is a failure (1) of commands that only show something, where the device is
    full, say, but not where the reader went away.
    """
    if argv is not None:
        return status_of(lambda: _dispatch(list(argv)))
    streams.protect()
    words = sys.argv[1:]
    status = status_of(lambda: _dispatch(words))
    failure = streams.lost()
    if failure is not None:
        print(f"mixbench: standard output cannot be written ({failure.strerror})", file=sys.stderr)
    return 1 if failure is not None and status == 0 and _only_shows(words) else status


def status_of(work: Callable[[], int]) -> int:
    """The exit status of a command; what ends it early is reported in one line: a mistake, the disk, Ctrl-C."""
    try:
        return work()
    except UserError as error:
        if _interrupted(error):
            print("mixbench: interrupted", file=sys.stderr)
            return 130
        print(f"mixbench: {one_line(str(error))}", file=sys.stderr)
        return 2
    except CannotWrite as error:
        print(f"mixbench: {one_line(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("mixbench: interrupted", file=sys.stderr)
        return 130


def _interrupted(error: BaseException) -> bool:
    """Whether Ctrl-C is behind the error: it may hit OmegaConf where its clean-up then fails for another reason."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, KeyboardInterrupt):
        seen = seen.__cause__ or seen.__context__
    return seen is not None


def _only_shows(words: list[str]) -> bool:
    flags = {word.partition("=")[0] for word in words}
    return not words or words[0] not in WORKS or not flags.isdisjoint((*SHOWS, DRY_RUN))


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0
    if words[0] == "--version":
        print(f"mixbench {__version__}")
        return 0
    if words[0] in ("-sc", "--shell-completion"):
        from mixbench.cli.completion import complete

        return complete(words, list(COMMANDS))
    words = _command_first(words)
    if words[0] not in COMMANDS:
        raise unknown("command", words[0], COMMANDS)
    return COMMANDS[words[0]](words[1:])


def _command_first(words: list[str]) -> list[str]:
    """`--config-dir X run …` as `run --config-dir X …`: where a flag stands does not matter."""
    name, equals, _ = words[0].partition("=")
    length = 1 if equals else 2
    if name in ("--config-dir", "-cd") and len(words) > length:
        return [words[length], *words[:length], *words[length + 1 :]]
    return words
