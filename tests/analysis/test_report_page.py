"""The report's page in a real browser: it needs no network, its controls work, and it fits every screen.

Skipped where playwright or a Chromium is missing. `scripts/test` installs playwright; the browser is the system's.
"""

import contextlib
import io
import itertools
import json
import re
import shutil
import statistics
from pathlib import Path

import pytest

from mixbench.cli.main import main

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is missing: no test of the page in a browser"
)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("no Chromium is installed: no test of the page in a browser", allow_module_level=True)

STORE = Path(__file__).parents[1] / "fixtures" / "store"
WIDTHS = (400, 1300, 2560)
LARGEST = 2_000_000  # bytes of a page
STUDIES = ("demo", "methods-demo")  # 3 and 20 methods


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """study -> its report: demo from the runs of tests/fixtures, methods-demo from its published records."""
    folder, written = tmp_path_factory.mktemp("pages"), {}
    shutil.copytree(STORE, folder / "demo")
    for study in STUDIES:
        results, out = folder / study, io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            assert main(["report", study, f"results_dir={results}"]) == 0
        (written[study],) = (Path(line) for line in out.getvalue().splitlines() if line.endswith("report.html"))
    return written


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture
def view(browser, pages):
    """Open a study's report; afterwards, the browser must have said nothing and asked for nothing but the file."""
    contexts, said, asked = [], [], []

    def view(study="demo", width=1300, height=900, **options):
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(5000)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(pages[study].as_uri())
        return page

    yield view
    for context in contexts:
        context.close()
    assert said == []
    assert {url for url in asked if not re.search(r"^file:.*/report\.html$", url)} == set()


def accuracies(rule):
    """(method as shown, n) -> mean accuracy of the runs in tests/fixtures."""
    shown = {"none": "none", "data-mix": "data-mix", "label-mix": "mixup (label-mix)"}
    found = {}
    for path in STORE.glob("runs/*/metrics.json"):
        run = json.loads(path.read_text())
        key = shown[run["identity"]["method"]], run["identity"]["n"]
        found.setdefault(key, []).append(run[f"{rule}_accuracy"])
    return {key: statistics.fmean(values) for key, values in found.items()}


def readout(page):
    """What the chart says at the chosen n: name -> (mean, interval), and the n."""
    cells = page.locator(".readout tr").evaluate_all(
        "rows => rows.map(r => [...r.cells].map(c => c.textContent.trim()))"
    )
    n = page.locator(".readout caption").text_content()
    return {name: (float(mean), interval) for name, mean, interval in cells}, int(n.removeprefix("n = "))


def marks(page):
    """Name of each series that is drawn -> the places of its marks, from the left."""
    names = page.locator(".series-list .names label").all_text_contents()
    found = page.locator(".plot .series").evaluate_all(
        "all => all.map(g => [g.dataset.series, [...g.querySelectorAll('.mark[transform]')].map(m => "
        "m.getAttribute('transform').match(/[\\d.]+/g).slice(0, 2).map(Number))])"
    )
    return {names[int(k)]: sorted(places) for k, places in found}


def hover(page, x, y):
    chart = page.locator(".plot > svg")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    page.mouse.move(box["x"] + x, box["y"] + y)


@pytest.mark.parametrize("study", STUDIES)
def test_no_screen_scrolls_sideways_and_no_labels_overlap(view, study):
    for width in WIDTHS:
        page = view(study, width)
        page.get_by_role("button", name="All", exact=True).click()
        for axis in ("log", "linear"):
            page.get_by_role("combobox", name="Axis").select_option(axis)
            boxes = page.locator(".plot > svg text").evaluate_all(
                "all => all.map(t => t.getBoundingClientRect()).map(b => [b.left, b.top, b.right, b.bottom])"
            )
            frame = page.locator(".plot").bounding_box()
            assert len(boxes) > 5
            for (left, top, right, bottom), other in itertools.combinations(boxes, 2):
                assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
            assert min(box[0] for box in boxes) >= frame["x"] - 1
            assert max(box[2] for box in boxes) <= frame["x"] + frame["width"] + 1
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width


@pytest.mark.parametrize("study", STUDIES)
def test_every_verdict_is_on_the_first_screen(view, study):
    page = view(study)
    bottoms = page.locator(".verdicts li").evaluate_all("all => all.map(li => li.getBoundingClientRect().bottom)")
    assert len(bottoms) >= 2
    assert max(bottoms) < 900


def test_pages_are_small(pages):
    assert all(page.stat().st_size < LARGEST for page in pages.values())


@pytest.mark.parametrize("rule", ["final", "median10", "best"])
def test_the_chart_tells_the_accuracies_of_the_chosen_rule(view, rule):
    page = view()
    page.get_by_role("combobox", name="Accuracy").select_option(rule)
    expected = accuracies(rule)
    for name, places in marks(page).items():
        for x, y in places:
            hover(page, x, y)
            told, n = readout(page)
            assert told[name][0] == pytest.approx(expected[name, n], abs=0.051)
            assert page.locator(".readout tr.focus td").first.text_content().strip() in told
            for _, interval in told.values():
                assert all(0 <= float(end) <= 100 for end in interval.split(" to ") if end)
    assert {key for key in expected if key[1] == n} == {(name, n) for name in told}
    note = "the verdicts and the tables below use another accuracy"
    assert (note in page.locator(".about").text_content()) == (rule != "final")


def test_methods_are_switched_off_and_on(view):
    page = view("methods-demo")
    names = page.locator(".series-list .names label").all_text_contents()
    assert len(names) == 20
    some = marks(page)
    assert "none" in some
    assert 2 <= len(some) < 20
    page.get_by_label("none", exact=True).uncheck()
    assert set(marks(page)) == set(some) - {"none"}
    page.get_by_role("button", name="None", exact=True).click()
    assert marks(page) == {}
    page.get_by_label("cutmix", exact=True).check()
    assert set(marks(page)) == {"cutmix"}
    page.get_by_role("button", name="All", exact=True).click()
    assert set(marks(page)) == set(names)
    page.get_by_role("button", name="Best few").click()
    assert marks(page) == some


def test_the_axis_is_logarithmic_or_linear(view):
    page = view("methods-demo")
    for axis, ratio in (("linear", (50 - 20) / (100 - 50)), ("log", 1.3219)):  # log(50 / 20) / log(100 / 50)
        page.get_by_role("combobox", name="Axis").select_option(axis)
        low, middle, high = (x for x, _ in marks(page)["none"])
        assert (middle - low) / (high - middle) == pytest.approx(ratio, rel=0.01)


def test_the_keyboard_reads_the_chart(view):
    page = view()
    page.locator(".plot > svg").focus()
    expected = accuracies("final")
    for key, n in (("ArrowRight", 20), ("ArrowRight", 50), ("ArrowLeft", 20), ("End", 50), ("Home", 20)):
        page.keyboard.press(key)
        said = page.locator(".plot [role=status]").text_content()
        assert said.startswith(f"n = {n}: ")
        assert all(f"{name} {mean:.1f} %" in said for (name, of), mean in expected.items() if of == n)
    page.keyboard.press("Escape")
    assert page.locator(".readout").is_hidden()


def column(table, k):
    return table.locator("tbody tr:visible").evaluate_all(f"rows => rows.map(r => r.cells[{k}].textContent.trim())")


def test_tables_are_sorted_and_filtered(view):
    page = view("methods-demo")
    section = page.locator("#gains-over-no-mixing")
    table, header = section.locator("table"), section.get_by_role("columnheader", name="gain")
    before = column(table, 2)
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    assert column(table, 2) == sorted(before, key=float)
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "descending"
    assert [float(gain) for gain in column(table, 2)] == sorted(map(float, before), reverse=True)
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") is None
    assert column(table, 2) == before
    section.get_by_role("columnheader", name="setting").get_by_role("button").click()
    assert list(dict.fromkeys(column(table, 0))) == ["n = 20", "n = 50", "n = 100"]
    section.get_by_label("Filter").fill("n = 50 cutmix")
    assert column(table, 1) == ["cutmix"]
    assert "1 of 57" in section.locator(".filter [role=status]").text_content()
    section.get_by_label("Filter").fill("")
    assert len(column(table, 1)) == 57


def test_what_is_missing_is_sorted_last(view):
    page = view()
    section = page.locator("#accuracy")
    for _ in range(2):
        section.get_by_role("columnheader", name="data-mix").get_by_role("button").click()
        assert column(section.locator("table").last, 0)[2:] == ["100", "300"]  # no run of these is stored


def test_the_page_is_complete_without_javascript(view):
    page = view(java_script_enabled=False)
    assert page.locator(".verdicts strong").first.is_visible()
    assert page.locator("figure svg").count() == 3  # accuracy, gains, losses
    assert all(page.locator("figure svg").nth(k).is_visible() for k in range(3))
    assert page.locator("#accuracy table").is_visible()
    runs = page.locator("#provenance table")
    assert runs.is_hidden()  # folded
    page.locator("#provenance summary").last.click()
    assert runs.is_visible()


def test_paper_shows_what_is_folded_and_no_controls(view):
    page = view(width=794, color_scheme="dark")  # A4
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("#provenance table").bounding_box()["height"] > 100
    assert page.locator(".verdicts details p").first.is_visible()
    assert page.locator(".plot > svg").is_visible()
    hidden = (".controls", ".series-list button", ".filter", "nav")
    assert not any(page.locator(name).first.is_visible() for name in hidden)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def luminance(colour):
    """Relative luminance, WCAG 2.2."""
    channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_on_a_light_and_on_a_dark_page(view, scheme):
    page = view(color_scheme=scheme)
    ground = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert (ground > 0.5) == (scheme == "light")
    texts = {"color": ("h1", ".headline", ".setting", ".note", "summary", "td", "th button", "nav a", ".about")}
    texts["fill"] = (".plot svg text", "#gains-over-no-mixing svg text")
    for style, selectors in texts.items():
        for selector in selectors:
            found = page.locator(selector).first.evaluate(f"one => getComputedStyle(one).{style}")
            low, high = sorted([luminance(found), ground])
            assert (high + 0.05) / (low + 0.05) >= 4.5, selector
