"""Golden values: today's code gives the numbers that stored runs were made from, or a numerics version is raised."""

import copy
import importlib.util
import json
from pathlib import Path

import pytest

from mixbench.config.compose import Composer
from mixbench.core import numerics

_FILE = Path(__file__).parents[1] / "fixtures" / "make_golden.py"
_SPEC = importlib.util.spec_from_file_location("make_golden", _FILE)
golden = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(golden)
STORED = golden.read()


@pytest.fixture(scope="module")
def composer():
    with Composer() as composer:
        yield composer


def test_the_stored_values_are_of_these_versions():
    versions = {component: of_it["version"] for component, of_it in STORED.items()}
    assert versions == numerics.VERSIONS, (
        f"run python {_FILE.relative_to(Path.cwd())}: its values are of other versions"
    )


@pytest.mark.parametrize("component", numerics.VERSIONS)
def test_values_are_those_of_the_declared_version(component, composer):
    stored = STORED[component]["values"]
    found = {name: compute() for name, compute in golden.computed(component, composer)}
    assert found.keys() == stored.keys(), "a case is new or gone: run tests/fixtures/make_golden.py"
    for name, value in found.items():
        differs = golden.apart(f"{component} {name}", stored[name], value)
        assert differs is None, (
            f"{component}, {name}: {differs}. Runs of this code differ from stored ones: raise {component!r} in "
            "mixbench/core/numerics.py and run tests/fixtures/make_golden.py, or fix the code"
        )


def changed(value):
    """The same with one number a little larger."""
    value = copy.deepcopy(value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value * (1 + 1e-5) + 1e-9
    if isinstance(value, str):
        return value + "0"
    key = next(iter(value)) if isinstance(value, dict) else -1
    value[key] = changed(value[key])
    return value


@pytest.mark.parametrize(
    ("component", "name"), [(component, name) for component, of_it in STORED.items() for name in of_it["values"]]
)
def test_a_small_change_is_seen_and_rounding_is_not(component, name):
    stored = STORED[component]["values"][name]
    assert golden.apart(f"{component} {name}", stored, json.loads(json.dumps(stored))) is None
    if not (isinstance(stored, dict) and "uint8" in stored):
        assert golden.apart(f"{component} {name}", stored, changed(stored))


def test_of_uint8_images_one_level_in_a_few_pixels_is_rounding_and_more_is_not():
    images = golden.pixels(4)
    for pixels, levels, seen in ((0, 0, False), (5, 1, False), (100, 1, True), (1, 2, True)):
        other = images.copy()
        other.reshape(-1)[:pixels] ^= levels  # by one or two levels up or down
        assert bool(golden.apart("augment", golden._plain(images), golden._plain(other))) == seen


def test_a_changed_value_is_not_written_before_its_version_is_raised(tmp_path, monkeypatch, capsys):
    file = tmp_path / "golden.json"
    other = copy.deepcopy(STORED)
    other["losses"]["values"]["ce"] += 0.5
    file.write_text(json.dumps(other))
    monkeypatch.setattr(golden, "FILE", file)
    monkeypatch.setattr(numerics, "VERSIONS", {"losses": numerics.VERSIONS["losses"]})
    assert golden.main() == 1
    assert "losses" in capsys.readouterr().out
    assert golden.read() == other
    monkeypatch.setattr(numerics, "VERSIONS", {"losses": numerics.VERSIONS["losses"] + 1})
    assert golden.main() == 0
    written = golden.read()["losses"]
    assert (written["version"], written["values"]["ce"]) == (
        numerics.VERSIONS["losses"],
        STORED["losses"]["values"]["ce"],
    )
