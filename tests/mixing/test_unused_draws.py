"""Draws that a method declares and never uses."""

import pytest

from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.mixing import METHODS, Mixed, method
from mixbench.mixing.unused_draws import unused_draws

SETTINGS = {"version": 1, "alpha": 1.0, "beta": 1.0, "p": 1.0, "per_sample": False}


@method(draws=("partner", "lam", "place"))
def straight(images, targets, *, partner, lam, place):
    return Mixed(images[partner], targets[partner])


@method(draws=("partner", "lam"))
def in_an_inner_function(images, targets, *, partner, lam):
    def weighted(values):
        return lam * values[partner]

    return Mixed(weighted(images), targets)


@method(draws=("partner", "lam"))
def by_locals(images, targets, *, partner, lam):
    return Mixed(images * locals()["lam"], targets[locals()["partner"]])


@pytest.mark.parametrize(
    ("function", "unused"),
    [(straight, ["lam", "place"]), (in_an_inner_function, []), (by_locals, [])],
)
def test_draws_that_no_line_reads(monkeypatch, function, unused):
    monkeypatch.setitem(METHODS, function.__name__, function)
    read = {"name": function.__name__, **SETTINGS}
    assert unused_draws(read) == unused


def test_methods_of_the_package_use_what_they_draw():
    with Composer() as composer:
        for option in composer.options("method"):
            assert unused_draws(job(composer.compose([f"method={option}"])).cfg.method) == [], option
