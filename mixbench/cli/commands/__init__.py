"""The commands by name. Each is a function that takes its words and returns an exit status."""

from mixbench.cli.commands.audit import audit
from mixbench.cli.commands.decide import decide
from mixbench.cli.commands.generate import generate
from mixbench.cli.commands.new import new
from mixbench.cli.commands.show import check, gallery, list_command, plot, report, status, table
from mixbench.cli.commands.store import clean, export, import_command
from mixbench.cli.commands.train import run, study, sweep
from mixbench.cli.commands.tune import tune

COMMANDS = {
    "run": run,
    "sweep": sweep,
    "study": study,
    "tune": tune,
    "table": table,
    "plot": plot,
    "report": report,
    "decide": decide,
    "audit": audit,
    "gallery": gallery,
    "generate": generate,
    "new": new,
    "check": check,
    "list": list_command,
    "status": status,
    "clean": clean,
    "export": export,
    "import": import_command,
}
