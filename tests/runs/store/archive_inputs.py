"""Archives of runs, made, looked into and changed."""

import json
import zipfile
from pathlib import Path

STORE = Path(__file__).parents[2] / "fixtures" / "store"
RUN = "digits-n20-none-s0-60107ed3fa"
OTHER = "digits-n20-none-s1-afcd4a2ba1"


def refused(call, name):
    """Why an import refused a run, as its line on that run says; it may have lines on others."""
    assert call.status == 1
    assert "Traceback" not in call.err
    head = f"runs.mixbench.zip: {name}: "
    (why,) = [line.removeprefix(head) for line in call.err.splitlines() if line.startswith(head)]
    return why


def members(path):
    with zipfile.ZipFile(path) as opened:
        return {info.filename: opened.read(info) for info in opened.infolist() if not info.is_dir()}


def changed_metrics(results, name, **changed):
    path = results.folder(name) / "metrics.json"
    metrics = json.loads(path.read_text()) | changed
    path.write_text(json.dumps(metrics))
    return path.read_bytes()
