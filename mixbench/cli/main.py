"""The entry point of the command line: it calls the command and prints errors in one line."""

import sys
from collections.abc import Callable, Sequence

from mixbench.cli import streams
from mixbench.cli.commands import COMMANDS
from mixbench.cli.flags import DRY_RUN, SHOWS
from mixbench.cli.help import HELP
from mixbench.core.errors import CannotWrite, UserError, one_line, unknown
from mixbench.core.version import __version__

# Commands that do more than print.
WORKS = ("run", "sweep", "study", "decide", "tune", "generate", "new", "clean", "export", "import")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    argv: words after the program's name. None: the words of this process; its output is then protected, so that output
        that cannot be written does not stop the work.
    Returns the exit status: 0, 1 (a run failed, or a command that only prints could not print, for example because the
        disk is full), 2 (a user's mistake) or 130 (Ctrl-C).
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
    """Call a command and return its exit status. A mistake, a full disk and Ctrl-C are printed in one line.

    work: runs the command and returns its exit status.
    Returns the command's status; 2 for UserError, 1 for CannotWrite and 130 for Ctrl-C.
    """
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
    """Whether Ctrl-C caused the error. If it interrupts OmegaConf, the clean-up there can raise another error."""
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
    """Return `--config-dir X run …` as `run --config-dir X …`."""
    name, equals, _ = words[0].partition("=")
    length = 1 if equals else 2
    if name in ("--config-dir", "-cd") and len(words) > length:
        return [words[length], *words[:length], *words[length + 1 :]]
    return words
