"""The command line: argv -> command and its words; one-line errors."""

import os
import sys
from collections.abc import Sequence

from mixbench import __version__
from mixbench.commands import COMMANDS
from mixbench.errors import CannotWrite, UserError, one_line, unknown
from mixbench.help import HELP


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, 1 (a run failed), 2 (a user's mistake) or 130 (Ctrl-C)."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _dispatch(words)
        sys.stdout.flush()
        return status
    except UserError as error:
        print(f"mixbench: {one_line(str(error))}", file=sys.stderr)
        return 2
    except CannotWrite as error:
        print(f"mixbench: {one_line(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("mixbench: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader (head, say) has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0
    if words[0] == "--version":
        print(f"mixbench {__version__}")
        return 0
    if words[0] in ("-sc", "--shell-completion"):
        from mixbench.completion import complete

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
