"""A user's own YAML files, found with --config-dir."""

from cli_inputs import OWN_STUDY
from omegaconf import OmegaConf

OWN_METHOD = """\
# CutMix with boxes of middling size
defaults: [cutmix]
alpha: 4
"""


def test_own_yaml_is_found_with_config_dir(mixbench, tiny, numbers, tmp_path):
    for name, text in (("method/my-cutmix.yaml", OWN_METHOD), ("study/mine.yaml", OWN_STUDY)):
        path = tmp_path / "my_configs" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    own = ("--config-dir", "my_configs")
    shown = OmegaConf.create(mixbench("run", *own, "method=my-cutmix", "--cfg", "job").out)
    assert (shown["method"]["name"], shown["method"]["alpha"]) == ("cutmix", 4)
    for what, line in (("methods", "my-cutmix CutMix with boxes"), ("studies", "mine my own comparison")):
        assert line in " ".join(mixbench("list", what, *own).out.split())
    assert "my-cutmix" in mixbench("run", *tiny, "method=my-cutmx", *own).err

    size = [word for word in tiny if word.startswith(("model", "train", "precision", "device"))]
    trained = mixbench("study", "mine", *own, *size)
    assert trained.status == 0, trained.err
    assert [4, 4] in [numbers(line) for line in trained.out.splitlines() if "results/runs/" in line]
    assert len(list(tmp_path.glob("results/runs/*/metrics.json"))) == 4
    assert "My own comparison" in trained.out
    assert len(list(tmp_path.glob("results/mine,*/accuracy.md"))) == 1
    assert "4 finished" in mixbench("status", "mine", *own, *size).out
    same = mixbench("run", *tiny, "method=cutmix", "method.alpha=4")
    assert "finished before" in same.out
    assert mixbench("table", "mine", *own, *size).status == 0
    assert mixbench("run", *tiny, "method=my-cutmix").status == 2  # not without the folder
