"""How busy others kept the machine, against processes that do and do not compute."""

import subprocess
import sys
import time

import pytest

from mixbench.runs import machine_load as load

SPIN = "import time\nend = time.time() + 60\nwhile time.time() < end: pass"


def watched(seconds: float) -> float | None:
    before = load.read_counters()
    time.sleep(seconds)
    return load.load_by_others(before, load.read_counters())


@pytest.mark.skipif(not load.STAT.exists(), reason="needs /proc/stat")
def test_the_work_of_another_process_counts_and_own_work_does_not():
    other = subprocess.Popen([sys.executable, "-c", SPIN])
    try:
        time.sleep(0.3)  # it has started
        with_other = watched(1.0)
    finally:
        other.kill()
        other.wait()
    before, end = load.read_counters(), time.time() + 1.0
    while time.time() < end:
        pass
    own = load.load_by_others(before, load.read_counters())
    assert with_other > 0
    assert own is not None


def test_shares_are_reckoned_from_the_counters(tmp_path):
    def reading(text: str, own: float) -> load.Reading:
        (tmp_path / "stat").write_text(text)
        found = load.read_counters(tmp_path / "stat")
        return load.Reading(found.cores, found.idle, own)

    hertz = load.os.sysconf("SC_CLK_TCK")
    # user nice system idle iowait irq softirq steal guest guest_nice
    before = reading("cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 1 2 3 4 5 6 7 8 9 9\n", own=0.0)
    ticks = [60, 0, 5, 90, 10, 0, 0, 35, 50, 0]
    after = reading("cpu  " + " ".join(str(seconds * hertz) for seconds in ticks), own=40.0)
    # 200 s of all cores, 100 idle, 40 own: 60 of others, steal among them; guest time is part of user time already.
    assert load.load_by_others(before, after) == pytest.approx(0.3)


def test_an_unknown_load_is_none(tmp_path):
    assert load.read_counters(tmp_path / "missing") is None
    (tmp_path / "stat").write_text("intr 1 2 3\n")
    assert load.read_counters(tmp_path / "stat") is None
    one = load.Reading(1.0, 0.5, 0.2)
    assert load.load_by_others(None, one) is None
    assert load.load_by_others(one, one) is None
