"""Commands that read stored runs: what they leave out, and that they never load torch."""

import json
import shutil
import subprocess
import sys

from mixbench.runs.store.store import SCHEMA


def test_results_of_another_schema_are_left_out_by_readers(mixbench, tiny, tmp_path, contents):
    assert mixbench("run", *tiny).status == 0
    (mine,) = (tmp_path / "results/runs").glob("digits-*")
    other = shutil.copytree(mine, mine.with_name("digits-n20-none-s0-0123456789"))
    metrics = json.loads((other / "metrics.json").read_text())
    (other / "metrics.json").write_text(json.dumps(metrics | {"schema": SCHEMA + 1, "id": other.name}))
    call = mixbench("table", "dataset=digits", "out=tables")
    assert call.status == 0
    assert f"{other.relative_to(tmp_path)}: left out (" in call.err
    assert f"schema {SCHEMA + 1}" in call.err
    assert "1 runs" in call.out or "1 run " in call.out
    assert other.name in mixbench("status").out


def test_readers_never_import_torch(mixbench, tiny, tmp_path):
    assert mixbench("run", *tiny).status == 0
    script = """
import sys
from mixbench.cli.main import main
from mixbench.cli.commands import COMMANDS
for words in (["--help"], ["list", "methods"], ["status"], ["status", "demo"], ["table", "dataset=digits"],
              ["table", "demo"], ["table", "small-data"], ["plot", "dataset=digits"]):
    status = main(words)
    loaded = sorted(name for name in sys.modules if name.split(".")[0] in ("torch", "torchvision"))
    assert not loaded, (words, loaded[:3])
    assert status == (1 if words == ["table", "small-data"] else 0)  # demo has records, (words, status)
"""
    ended = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "results/selection,dataset=digits/accuracy.png").exists()


def test_a_studys_methods_may_be_chosen_by_an_alias(mixbench, counts):
    for method in ("mixup", "cutmix"):
        head = mixbench("status", "demo", f"method={method}").out.splitlines()[0]
        assert counts(head) == {"missing": 12}
