"""Charts as a reader sees them: words apart from one another, intervals that say where they go on, names in full.

Every chart is drawn over a matrix of selections: 2 and 14 methods, one and eight n, runs that differ in one and in five
keys. Figures are looked at as objects; the numbers in them are made up.
"""

import itertools
import json
import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.markers import CARETDOWN, CARETLEFT, CARETRIGHT, CARETUP

from mixbench import stats
from mixbench.analysis import plot, report, table
from mixbench.analysis.charts import layout
from mixbench.analysis.compare import compare
from mixbench.analysis.display import display_interval
from mixbench.cli.words import select
from mixbench.config import identity
from mixbench.config.compose import Composer
from mixbench.config.method_aliases import with_alias
from mixbench.mixing.runner import METHOD_NAMES
from mixbench.runs.store import store

SMALL = ("dataset=digits", "n=20", "subset=random", "model.width=2", "model.depth=10", "train.steps=200")
METHODS = {2: ("none", "label-mix"), 14: METHOD_NAMES[:14], len(METHOD_NAMES): METHOD_NAMES}
NS = {1: (100,), 8: (10, 20, 50, 100, 250, 500, 1000, 5000)}
# One key: n. Five keys: also the method's own, the network's and two of training, which do not move together.
VARIANTS = {
    1: ({},),
    5: tuple(
        {"method.alpha": alpha, "train.lr": lr, "train.batch_size": batch, "model.width": width}
        for alpha, lr, (batch, width) in itertools.product((0.2, 2), (0.1, 0.01), ((32, 2), (64, 2), (64, 4)))
    ),
}
SIDES = {CARETLEFT: "left", CARETRIGHT: "right", CARETUP: "up", CARETDOWN: "down", "<": "left", ">": "right"}
SIDES |= {"^": "up", "v": "down"}


@pytest.fixture(scope="module")
def identities():
    """method and further words -> the identity of a run."""
    made = {}

    def of(method, *words):
        if (method, *words) not in made:
            with Composer() as composer:
                made[method, *words] = identity.job(composer.compose([f"method={method}", *SMALL, *words])).identity
        return dict(made[method, *words])

    return of


@pytest.fixture
def build(tmp_path, identities):
    """Write finished runs of these methods, n and variants, of subsets 0 to `subsets` - 1; returns results_dir."""
    rng = np.random.default_rng(3)

    def build(methods, ns, variants=({},), subsets=2, spread=1.0, loss=1.0, words=(), **metrics):
        results = store.Store(tmp_path / "results")
        results.open()
        for (i, method), n, variant, subset in itertools.product(enumerate(methods), ns, variants, range(subsets)):
            keys = identities(method, *words)
            keys |= {key: value for key, value in variant.items() if not key.startswith("method.") or key in keys}
            keys |= {"n": n, "subset_seed": subset}
            accuracy = float(np.clip(20 + 16 * np.log10(n / 10) + i + rng.normal(0, spread), 0, 100))
            _write(results, keys, accuracy, loss * (1 + 0.1 * i), metrics)
        return results.root

    return build


def _write(results, keys, accuracy, loss, metrics):
    folder = results.folder(identity.run_id(keys))
    folder.mkdir(exist_ok=True)
    measured = dict.fromkeys(("final_accuracy", "median10_accuracy", "best_accuracy"), accuracy)
    cost = {"seconds": 1.0, "steps": 200, "steps_per_second": 200.0, "device": "a CPU", "precision": "fp32"}
    named = {"schema": 1, "id": folder.name, "identity": keys, "mixbench": "0", "code_sha256": "0" * 64}
    (folder / "metrics.json").write_text(json.dumps(named | measured | cost | metrics))
    lines = [
        f"{step},1,0.1,{loss * 2 * 0.9**k:.4f},{loss * 3 * 0.98**k:.4f},50,1\n"
        for k, step in enumerate(range(20, 201, 20))
    ]
    (folder / "history.csv").write_text("step,epoch,lr,train_loss,test_loss,test_accuracy,seconds\n" + "".join(lines))


class Figures(dict):
    """Figures by name; each is laid out when it is first asked for."""

    def __getitem__(self, name):
        figure = super().__getitem__(name)
        if not hasattr(figure.canvas, "renderer"):
            FigureCanvasAgg(figure)
            with warnings.catch_warnings(action="ignore"):  # of glyphs that a font lacks
                figure.draw_without_rendering()
        return figure

    def items(self):
        return ((name, self[name]) for name in self)


@pytest.fixture
def figures(tmp_path, monkeypatch):
    """The figures of `mixbench plot WORDS` by name; change: attributes of the selection."""

    def figures(*words, **change):
        drawn = Figures()
        monkeypatch.setattr(plot, "rendered", lambda figure, stem: drawn.update({stem.name: figure}) or {})
        with Composer() as composer:
            chosen = select(composer, [*words, f"results_dir={tmp_path}/results", f"out={tmp_path}/out"])
        plot.write(replace(chosen, **change))
        return drawn

    return figures


def texts(figure):
    """The texts that are seen, with their boxes in pixels."""
    found = [*figure.texts]
    for legend in [*figure.legends, *(axes.get_legend() for axes in figure.axes)]:
        found += [*legend.get_texts(), legend.get_title()] if legend else []
    for axes in figure.axes:
        found += [axes.title, axes._left_title, axes._right_title, *axes.texts]
        for axis in (axes.xaxis, axes.yaxis):
            found += [axis.label, *tick_labels(axis)]
    renderer = figure.canvas.get_renderer()
    seen = [text for text in found if text.get_visible() and text.get_text().strip()]
    return [(text, text.get_window_extent(renderer)) for text in seen]


def tick_labels(axis):
    """Those in view, of a figure that was drawn."""
    low, high = sorted(axis.get_view_interval())
    found = [
        label
        for tick in axis.get_major_ticks()
        for label in (tick.label1, tick.label2)
        if low <= tick.get_loc() <= high
    ]
    return [label for label in found if label.get_visible() and label.get_text()]


def overlap(one, other, slack=1.0):
    """Whether two boxes have more than `slack` pixels in common both ways."""
    wide = min(one.x1, other.x1) - max(one.x0, other.x0)
    high = min(one.y1, other.y1) - max(one.y0, other.y0)
    return wide > slack and high > slack


def collisions(figure):
    """Pairs of texts that lie on one another."""
    seen = texts(figure)
    return [
        (one.get_text(), other.get_text())
        for (one, box), (other, box_of_other) in itertools.combinations(seen, 2)
        if overlap(box, box_of_other)
    ]


def outside(figure):
    """Texts that the figure's edge cuts off."""
    edge = figure.bbox
    return [
        text.get_text()
        for text, box in texts(figure)
        if box.x0 < edge.x0 - 1 or box.x1 > edge.x1 + 1 or box.y0 < edge.y0 - 1 or box.y1 > edge.y1 + 1
    ]


def on_axes(figure):
    """Legends and headings that reach into a panel."""
    seen = [(legend.get_title().get_text(), legend.get_window_extent()) for legend in figure.legends]
    seen += [(legend, legend.get_window_extent()) for axes in figure.axes if (legend := axes.get_legend())]
    inside = [text for axes in figure.axes for text in axes.texts]
    words = re.compile(r"^[-+\d.]+$|^no run$")  # which stand in the cells of a heat map, and in empty panels
    seen += [(text.get_text(), text.get_window_extent()) for text in inside if not words.match(text.get_text())]
    return [what for what, box in seen for axes in figure.axes if overlap(box, axes.get_window_extent(), slack=0)]


def unsigned_ends(figure):
    """Ends of bars beyond their axis without an arrow there."""
    missing = []
    for axes in figure.axes:
        arrows = {
            (SIDES[line.get_marker()], round(float(line.get_xdata()[0]), 6), round(float(line.get_ydata()[0]), 6))
            for line in axes.lines
            if line.get_marker() in SIDES and len(line.get_xdata()) == 1
        }
        (left, right), (bottom, top) = sorted(axes.get_xlim()), sorted(axes.get_ylim())
        bars = [s for c in axes.collections if isinstance(c, LineCollection) for s in c.get_segments() if len(s) == 2]
        for (x0, y0), (x1, y1) in bars:
            if abs(x1 - x0) < 1e-9 and y0 < y1:
                ends = (("down", x0, bottom, y0 < bottom), ("up", x0, top, y1 > top))
            elif y0 == y1 and x0 < x1:
                ends = (("left", left, y0, x0 < left), ("right", right, y0, x1 > right))
            else:
                continue
            wanted = [(side, round(float(x), 6), round(float(y), 6)) for side, x, y, needed in ends if needed]
            missing += [end for end in wanted if end not in arrows]
    return missing


@pytest.mark.parametrize("keys", VARIANTS)
@pytest.mark.parametrize("ns", NS)
@pytest.mark.parametrize("methods", METHODS)
def test_words_lie_apart_and_bars_say_where_they_go_on(build, figures, methods, ns, keys):
    variants = VARIANTS[keys][:: 6 if methods * ns > 100 else 2 if methods > 2 else 1]  # they would be 2,000 runs
    build(METHODS[methods], NS[ns], variants, spread=3.0)
    drawn = figures()
    assert {"accuracy", "gains", "loss"} <= set(drawn)
    for name, figure in drawn.items():
        assert collisions(figure) == [], name
        assert outside(figure) == [], name
        assert on_axes(figure) == [], name
        assert unsigned_ends(figure) == [], name
        assert any(text.get_text() == "All stored runs" for text, _ in texts(figure)) or name == "accuracy", name


@pytest.mark.parametrize(
    "words", [("rows=method.alpha", "columns=n"), ("rows=method.alpha",), ("rows=method", "columns=n")]
)
def test_rows_by_a_methods_own_key_are_named_by_what_they_have(build, figures, words):
    """none has no alpha: neither its name nor another's says so."""
    build(("none", "label-mix", "cutmix"), (20, 50, 100), [{"method.alpha": alpha} for alpha in (0.2, 1, 4)])
    for name, figure in figures(*words).items():
        assert collisions(figure) == [], name
        assert outside(figure) == [], name
        for text, _ in texts(figure):
            assert "–" not in text.get_text()
            assert "method=" not in text.get_text()


@pytest.mark.parametrize("subsets", [1, 3, 10])
def test_any_number_of_subsets(build, figures, subsets):
    build(("none", "label-mix", "cutmix"), (20, 50, 100), subsets=subsets)
    for name, figure in figures().items():
        assert collisions(figure) + outside(figure) + on_axes(figure) + unsigned_ends(figure) == [], name


def test_long_names_are_wrapped(build, figures):
    words = ("method.alpha=0.123456789", "method.correct_lambda=false")
    build(("none",), (100, 1000))
    build(("cutmix", "fmix"), (100, 1000), [{"method.alpha": 0.123456789}, {"method.alpha": 1}], words=words[1:])
    build(("cutmix", "fmix"), (100, 1000), [{"method.alpha": 0.123456789}, {"method.alpha": 1}])
    title = "A study with a title that nobody would want to read twice, since it has no end. " * 4
    drawn = figures(title=title)
    for name, figure in drawn.items():
        assert collisions(figure) + outside(figure) + on_axes(figure) == [], name


def test_several_variants_at_one_n_are_told_apart(build, figures):
    """Each has a line of its own: one below the other, not on top of one another."""
    build(("none", "label-mix"), (100,), [{"method.alpha": alpha} for alpha in (0.2, 1, 4)])
    (axes,) = figures()["accuracy"].axes
    assert [label.get_text() for label in tick_labels(axes.yaxis)] == [
        "none",
        "mixup (label-mix), alpha=0.2",
        "mixup (label-mix), alpha=1",
        "mixup (label-mix), alpha=4",
    ]
    marks = [line for line in axes.lines if isinstance(line.get_marker(), str) and line.get_marker() != "None"]
    assert len({round(float(line.get_ydata()[0]), 3) for line in marks}) == 4


def test_variants_of_one_method_differ_in_mark_or_line(build, figures):
    build(("none", "label-mix"), (20, 100), [{"method.alpha": alpha} for alpha in (0.2, 0.5, 1, 2, 4)])
    lines = [line for line in figures()["accuracy"].axes[0].lines if line.get_label().startswith("mixup (label-mix)")]
    looks = {(line.get_color(), line.get_marker(), line.get_linestyle()) for line in lines}
    assert len(looks) == len(lines) == 5


def test_many_methods_have_a_panel_each_beside_the_baseline(build, figures):
    build(METHOD_NAMES, (20, 100))
    figure = figures()["accuracy"]
    assert len(figure.axes) == len(METHOD_NAMES) - 1
    for axes in figure.axes:
        assert len({line.get_label() for line in axes.lines if not line.get_label().startswith("_")}) == 2


def test_marks_stay_at_their_numbers(build, figures):
    """Moved sideways, so that bars can be told apart, but never as far as half the way to the next n."""
    build(METHOD_NAMES[:6], NS[8])
    drawn = figures()
    for name in ("accuracy", "accuracy-log"):
        scale = np.log if name.endswith("log") else np.array
        gap = np.diff(scale(np.array(NS[8], dtype=float))).min()
        for line in drawn[name].axes[0].lines:
            if not line.get_label().startswith("_"):
                moved = scale(np.asarray(line.get_xdata(), dtype=float)) - scale(np.array(NS[8], dtype=float))
                assert np.abs(moved).max() < gap / 2


@pytest.mark.parametrize(("methods", "factor"), [(2, 1.0), (14, 1.0), (2, 0.001), (14, 300.0)])
def test_loss_axes_have_numbers(build, figures, methods, factor):
    build(METHODS[methods], (100,), loss=factor)
    axes = figures()["loss"].axes[0]
    numbers = [label.get_text() for label in tick_labels(axes.yaxis)]
    assert len(numbers) >= 3
    assert all(float(number) > 0 for number in numbers)


@pytest.mark.parametrize("words", [(), ("loss=bce",)])
@pytest.mark.parametrize("methods", [2, 14])
def test_an_evaluation_loss_that_is_not_the_trained_one_says_so(build, figures, methods, words):
    build(METHODS[methods], (100,), words=words)
    said = [text.get_text() for text, _ in texts(figures()["loss"])]
    assert any("cross-entropy" in text for text in said) == bool(words)


def test_many_methods_are_named_at_the_ends_of_their_losses(build, figures):
    build(METHODS[14], (100,))
    panels = figures()["loss"].axes
    for axes in panels:
        named = {text.get_text(): text for text in axes.texts}
        shown = [with_alias(name) for name in METHODS[14]]
        assert set(shown) <= set(named)
        heights = [named[name].get_window_extent().y0 for name in shown]
        assert heights == sorted(heights)  # later methods have larger losses here


def test_rows_that_are_not_drawn_are_spoken_of(build, figures):
    build(("none", "label-mix"), range(10, 30))
    words = " ".join(text.get_text() for text, _ in texts(figures()["loss"]))
    assert "4 more rows" in words


def test_a_heat_map_says_of_what_it_is(build, figures):
    build(("none", "label-mix", "cutmix"), (20, 50, 100), [{"method.alpha": alpha} for alpha in (0.2, 1, 4)])
    for words in (["rows=method.alpha"], ["rows=method.alpha", "columns=n"]):
        figure = figures(*words)["heatmap"]
        seen = [" ".join(text.get_text().split()) for text, _ in texts(figure)]
        assert "All stored runs" in seen
        assert {"cutmix", "mixup (label-mix)"} <= set(seen)
        bar = [set(word.split()) for word in seen]
        assert any({"mixing", "(percentage", "points)"} <= words_of for words_of in bar)  # baseline and unit


def test_numbers_of_held_out_images_are_not_called_test(build, figures):
    build(("none", "label-mix"), (20, 100), words=("eval=holdout",))
    for name, figure in figures().items():
        seen = " ".join(text.get_text() for text, _ in texts(figure))
        assert not re.search(r"\btest\b", seen), name
        assert "held-out" in seen or name == "gains"


def test_intervals_end_where_accuracies_do(build, figures, numbers, tmp_path):
    """Two subsets far apart: Student's t interval would reach from far below 0 to far above 100 %."""
    wild = stats.summarise({(0, 0): 20.0, (1, 0): 70.0})
    assert wild.interval[0] < -200
    assert table.cell_text(wild, None) == "45.00 ± 35.36 (2) [0.0, 100.0]"
    tame = stats.summarise({(0, 0): 20.0, (1, 0): 21.0})
    assert display_interval(tame) == tame.interval
    build(("none", "label-mix"), (20, 50, 100), spread=20.0)
    for name in ("accuracy", "accuracy-log"):
        (axes,) = figures()[name].axes
        bars = np.concatenate([c.get_segments() for c in axes.collections])[..., 1]
        assert 0 <= bars.min() <= bars.max() <= 100
    with Composer() as composer:
        chosen = select(composer, [f"results_dir={tmp_path}/results", f"out={tmp_path}/out"])
    built = table.build(chosen)
    text = table.markdown(chosen, built)
    shown = [float(end) for pair in re.findall(r"\[(-?[\d.]+), (-?[\d.]+)\]", text) for end in pair]
    assert shown
    assert all(0 <= end <= 100 for end in shown)
    (note,) = [line for line in text.splitlines() if "accuracy.csv" in line]  # which has the whole of them
    assert numbers(note) == [0, 100]
    table.write(chosen)
    kept = (tmp_path / "out/accuracy.csv").read_text()
    assert any(float(number) < 0 for number in re.findall(r"-\d+\.\d+", kept)), "for computing with, as they are"


def test_gains_end_where_differences_do(build, figures):
    build(("none", "label-mix"), (20,), spread=20.0)
    for axes in figures()["gains"].axes:
        for collection in axes.collections:
            for segment in collection.get_segments():
                assert -100 <= segment[:, 0].min() <= segment[:, 0].max() <= 100


def test_gains_that_are_all_zero_have_an_axis(build, figures, monkeypatch):
    build(("none", "label-mix"), (20,), spread=0.0)
    original = plot.compare

    def without_gain(*given, **options):
        settings = original(*given, **options)
        settings[0].methods[0].gain = replace(settings[0].methods[0].gain, mean=0.0, interval=None)
        return settings

    monkeypatch.setattr(plot, "compare", without_gain)
    low, high = figures()["gains"].axes[0].get_xlim()
    assert low < 0 < high


@pytest.mark.parametrize(
    "title", ["a $x_{$ b", "$x$ & <b>", "back\\slash ^_{", "小さなデータ 🙂", "two\nlines\ttab", " "]
)
def test_any_title_is_drawn_as_it_is(build, tmp_path, title):
    build(("none", "label-mix"), (20, 100))
    with Composer() as composer:
        chosen = select(composer, [f"results_dir={tmp_path}/results", f"out={tmp_path}/out"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        paths = plot.write(replace(chosen, title=title))
    svg = next(path for path in paths if path.name == "accuracy.svg").read_text(encoding="utf-8")
    for word in title.split():
        assert word.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in svg


@given(
    st.lists(st.floats(0, 10), min_size=1, max_size=20),
    st.floats(0.01, 1),
)
def test_labels_are_moved_apart_in_their_order(places, gap):
    moved = layout.apart(places, gap, 0, 10)
    gap = min(gap, 10 / max(len(places) - 1, 1))
    order = np.argsort(places, kind="stable")
    assert np.all(np.diff(np.array(moved)[order]) >= gap - 1e-9)
    assert min(moved) >= -1e-9
    assert max(moved) <= 10 + 1e-9


def test_labels_that_have_room_stay():
    assert layout.apart([3.0, 1.0, 9.0], 0.5, 0, 10) == pytest.approx([3.0, 1.0, 9.0])
    assert layout.apart([5.0, 5.0], 1.0, 0, 10) == pytest.approx([4.5, 5.5])


def test_a_chart_of_many_panels_scrolls_on_a_narrow_screen(build, tmp_path):
    """Made smaller, its letters could not be read."""
    build(METHOD_NAMES, (20, 100))
    with Composer() as composer:
        chosen = select(composer, [f"results_dir={tmp_path}/results", f"out={tmp_path}/out"])
    report.write(chosen, compare(chosen.frame, chosen.rule))
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    accuracy = page[page.index('id="accuracy"') : page.index('id="gains-over-no-mixing"')]
    assert '<figure class="scroll">' in accuracy


def test_the_loss_plot_says_what_its_bands_are_where_it_has_any(build, figures):
    results = build(("none", "label-mix"), (20, 50))

    def told():
        (legend,) = figures()["loss"].legends
        return legend.get_title().get_text()

    assert "band" not in told(), "runs of one cell have the same losses"
    history = next(results.glob("runs/*-none-*/history.csv"))
    history.write_text(history.read_text().replace("20,1,0.1,2", "20,1,0.1,4", 1))
    assert "band" in told()


def test_many_methods_in_the_rows_of_a_table_share_their_loss_panels(build, figures):
    """One row of panels for each would be longer than a page."""
    build(METHODS[14], (20, 100), subsets=1)
    panels = figures("rows=method", "columns=n")["loss"].axes
    assert len(panels) == 2 * 2  # two losses at each n
    for axes in panels:
        assert {with_alias(name) for name in METHODS[14]} <= {text.get_text() for text in axes.texts}


def test_training_and_evaluation_losses_of_many_methods_have_their_own_axis(build, figures):
    """The smallest training loss here is 2 * 0.9^9 = 0.77, the smallest test loss 3 * 0.98^9 = 2.5."""
    build(METHODS[14], (100,))
    trained, evaluated = figures()["loss"].axes
    assert trained.get_ylim()[0] < 0.78
    assert evaluated.get_ylim()[0] > 2


@pytest.mark.parametrize("accuracy", [0.0, 99.9])
def test_no_axis_of_accuracies_has_numbers_outside_0_to_100(build, figures, accuracy):
    results = build(("none", "label-mix"), (20, 100), spread=0)
    for i, path in enumerate(sorted(results.glob("runs/*/metrics.json"))):
        stored = json.loads(path.read_text())
        path.write_text(json.dumps(stored | {"final_accuracy": accuracy + 0.02 * (i % 3)}))
    for words in ([], ["rows=method"]):
        figure = figures(*words, "rule=final")["accuracy"]
        labels = [figure.axes[0].get_yticklabels(), figure.axes[0].get_xticklabels()][len(words)]
        numbers = [float(label.get_text().replace("−", "-")) for label in labels]
        assert len(numbers) > 1
        assert all(0 <= number <= 100 for number in numbers)


def test_the_best_number_of_each_n_is_bold_in_a_heat_map(build, figures):
    build(("none", "label-mix"), (20, 50), [{"method.alpha": alpha} for alpha in (0.2, 1)], spread=3.0)
    figure = figures("rows=method.alpha")["heatmap"]
    panels = [axes for axes in figure.axes if axes.texts and axes.get_xlabel() == "n"]
    found = {}
    for text in (text for axes in panels for text in axes.texts if text.get_text().replace(".", "").isdigit()):
        found.setdefault(text.get_position()[0], []).append((float(text.get_text()), text.get_fontweight()))
    assert len(found) == 2
    for numbers in found.values():
        highest = max(number for number, _ in numbers)
        assert all((weight == "bold") == (number == highest) for number, weight in numbers)
