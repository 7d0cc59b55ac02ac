"""The runs that nothing disturbed."""

import pytest
from made_runs import folder_of

from mixbench.cli.main import main


@pytest.fixture(scope="session")
def whole(tmp_path_factory, tiny):
    """The folder of a tiny run that nothing disturbed, by precision."""
    results = tmp_path_factory.mktemp("whole")
    for precision in ("fp32", "bf16"):
        assert main(["run", *tiny, f"precision={precision}", f"results_dir={results / precision}"]) == 0
    return {precision: folder_of(results / precision) for precision in ("fp32", "bf16")}
