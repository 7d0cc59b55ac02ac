"""Which precision `auto` means, and that a comparison of several precisions says so before anything else."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from mixbench.training import device
from mixbench.training.device import choose_precision

CPU = torch.device("cpu")
STORE = Path(__file__).parents[1] / "fixtures" / "store" / "runs"


@pytest.mark.parametrize(
    ("able", "wanted"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, torch.float32),  # bfloat16 was the slower there
        ({"avx512_bf16": True, "amx_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": False, "amx_bf16": False, "amx_tile": True}, torch.float32),  # tiles of int8 alone
        ({"architecture": "aarch64", "bf16": True, "amx_bf16": False}, torch.float32),
    ],
)
def test_on_a_cpu_amx_alone_means_bfloat16(monkeypatch, able, wanted):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert choose_precision("auto", CPU) == wanted
    assert choose_precision("bf16", CPU) == torch.bfloat16
    assert choose_precision("fp32", CPU) == torch.float32


@pytest.mark.parametrize("absent", ["key", "function"])
@pytest.mark.parametrize(
    ("flags", "wanted"), [("avx512_bf16 amx_bf16 amx_tile", True), ("avx512_bf16 amx_bf16x", False), (None, False)]
)
def test_where_torch_does_not_tell_linux_does(monkeypatch, tmp_path, absent, flags, wanted):
    if absent == "key":
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    else:
        monkeypatch.delattr(torch.cpu, "get_capabilities")
    cpuinfo = tmp_path / "cpuinfo"
    if flags is not None:  # elsewhere there is no such file
        cpuinfo.write_text(f"processor\t: 0\nflags\t\t: fpu {flags} avx2\n")
    monkeypatch.setattr(device, "Path", lambda path: cpuinfo if path == "/proc/cpuinfo" else Path(path))
    assert device.has_amx() is wanted


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results"
    shutil.copytree(STORE, folder / "runs")
    return folder


def computed_in(folder, precision):
    path = folder / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"precision": precision}))


def blocks(text):
    """A page's paragraphs without its headings."""
    return [block for block in text.split("\n\n") if not block.startswith("#")]


def test_a_comparison_of_two_precisions_says_so_first(results, mixbench):
    words = ["demo", "n=20", "method=none,label-mix"]
    for name in ("accuracy.md", "report.md"):
        command = "table" if name == "accuracy.md" else "report"
        alike = mixbench(command, *words, f"out=alike-{command}")
        assert alike.status == 0
        assert "bf16" not in alike.out
        assert "bf16" not in blocks(Path(f"alike-{command}", name).read_text())[0]
    for folder in (results / "runs").glob("*n20-label-mix*"):
        computed_in(folder, "bf16")
    for name in ("accuracy.md", "report.md"):
        command = "table" if name == "accuracy.md" else "report"
        told = mixbench(command, *words, f"out=differ-{command}")
        assert told.status == 0
        assert "3 in bf16 and 3 in fp32" in blocks(Path(f"differ-{command}", name).read_text())[0]
        if command == "report":
            assert "3 in bf16 and 3 in fp32" in told.out.splitlines()[0]
            assert "3 in bf16 and 3 in fp32" in Path("differ-report", "report.html").read_text()
