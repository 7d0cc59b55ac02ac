"""Versions of the components that decide a run's numbers: which records are of the same code."""

import pytest

from mixbench.core import numerics
from mixbench.runs.store import metrics_schema

HERE = {"numerics": dict(numerics.VERSIONS)}


def raised(*components):
    return {"numerics": numerics.VERSIONS | {name: numerics.VERSIONS[name] + 1 for name in components}}


@pytest.mark.parametrize("component", numerics.VERSIONS)
def test_each_component_tells_records_apart(component):
    other = raised(component)
    assert numerics.difference(HERE) is None
    assert component in numerics.difference(other)
    assert numerics.name(other) != numerics.name(HERE)


def test_names_are_equal_where_the_code_is():
    one, other = raised("mixing", "data"), raised("data", "mixing")
    assert numerics.name(one) == numerics.name(other)
    assert numerics.name(one) not in (numerics.name(raised("mixing")), numerics.name(HERE))


def test_a_component_that_is_added_later_is_of_the_first_version_in_older_records(monkeypatch):
    monkeypatch.setattr(numerics, "VERSIONS", numerics.VERSIONS | {"later": 1})
    assert numerics.difference(HERE) is None
    monkeypatch.setattr(numerics, "VERSIONS", numerics.VERSIONS | {"later": 2})
    assert "later" in numerics.difference(HERE)


def test_a_component_that_is_known_elsewhere_alone_is_a_difference_unless_it_is_of_the_first_version():
    assert numerics.difference({"numerics": numerics.VERSIONS | {"elsewhere": 1}}) is None
    assert "elsewhere" in numerics.difference({"numerics": numerics.VERSIONS | {"elsewhere": 2}})


def test_the_last_code_that_had_a_checksum_is_of_the_first_versions(monkeypatch):
    monkeypatch.setattr(numerics, "VERSIONS", dict.fromkeys(numerics.VERSIONS, 1))
    last = {"code_sha256": "597a910118ed"}
    assert numerics.difference(last) is None
    assert numerics.name(last) == numerics.name(HERE)
    monkeypatch.setattr(numerics, "VERSIONS", numerics.VERSIONS | {"draws": 2})
    assert "draws" in numerics.difference(last)


@pytest.mark.parametrize("record", [{}, {"code_sha256": "0123456789ab"}, {"code_sha256": None}, {"numerics": None}])
def test_records_of_earlier_code_are_told_by_their_checksum(record):
    assert numerics.declared(record) is None
    assert (record.get("code_sha256") or "") in numerics.difference(record)


@pytest.mark.parametrize(
    "versions", [[], "1", 1, {"draws": "1"}, {"draws": 1.5}, {"draws": True}, {1: 1}, {"draws": None}]
)
def test_what_are_no_versions_is_refused_in_metrics_and_counts_as_not_known_elsewhere(versions):
    assert numerics.declared({"numerics": versions}) is None
    with pytest.raises(ValueError, match="numerics"):
        metrics_schema.check(METRICS | {"numerics": versions})


@pytest.mark.parametrize("versions", [{"$x": 1}, {"a\nb": 1}, {"draws": 2**70}])
def test_versions_in_metrics_can_be_shown(versions):
    with pytest.raises(ValueError, match="numerics"):
        metrics_schema.check(METRICS | {"numerics": versions})


METRICS = {
    "identity": {"dataset": "digits", "n": 1, "method": "none", "seed": 0},
    **dict.fromkeys(("final_accuracy", "median10_accuracy", "best_accuracy", "seconds"), 1),
}


def test_metrics_with_and_without_numerics_are_usable():
    metrics_schema.check(METRICS)
    metrics_schema.check(METRICS | HERE)
