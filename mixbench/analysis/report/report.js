// Makes a report interactive: draws the chart of accuracies from its data, and lets tables be sorted and filtered.
// The page is complete without it: the chart's place is held by a picture, and nothing is loaded.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const FILTER_FROM = 9; // rows of a table that are worth a filter
const MARGIN = { left: 40, right: 16, top: 30, bottom: 46 }; // of the chart, in pixels
const DIGIT = 7.5; // width of a digit of the chart's text, in pixels
const REACH = 0.5; // how far an interval may exceed the range of the means, as a share of it; longer ones get an arrow
const DODGE = 8, SPREAD = 0.35; // most pixels between two methods at one n, and most of the gap that all of them take

/** Make an element. attributes: name -> value; null leaves one out. children: elements and texts. */
function make(name, attributes = {}, ...children) {
  const made = name.startsWith("svg:") ? document.createElementNS(SVG, name.slice(4)) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const number = (value) => value.toLocaleString("en-US", { maximumFractionDigits: 6 });
const percent = (value) => value.toFixed(1);

/** Round numbers between two limits, about `count` of them. */
function ticks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((k) => k * power).find((s) => s >= rough * 0.999);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) found.push(+(k * step).toPrecision(12));
  return found;
}

/** The chart of one holder, which has a picture and the data. */
function drawChart(holder) {
  const data = JSON.parse(holder.querySelector("script").textContent);
  const state = { rule: data.rule, log: data.log, at: null, focus: null };
  const shown = data.series.map((series) => series.shown);
  const svg = make("svg:svg", { role: "img", tabindex: 0 });
  const readout = make("div", { class: "readout", hidden: "", "aria-hidden": "true" });
  const status = make("p", { class: "unseen", role: "status" });
  const about = make("p", { class: "about" });
  const boxes = data.series.map(() => make("input", { type: "checkbox" }));
  let places = []; // of each drawn series: index, and pixels of its mark at each number
  let across = () => 0;

  const values = (series) => series.values[state.rule];
  const inUse = () => data.series.map((_, k) => k).filter((k) => shown[k]);

  function limits() {
    const cells = inUse().flatMap((k) => values(data.series[k])).filter((cell) => cell);
    const published = inUse().flatMap((k) => data.series[k].published ?? []).filter((value) => value !== null);
    const means = [...cells.map((cell) => cell[0]), ...published];
    if (!means.length) return [0, 100];
    let low = Math.min(...means), high = Math.max(...means);
    const reach = Math.max(REACH * (high - low), 1);
    const ends = cells.filter((cell) => cell[1] !== null).flatMap((cell) => [cell[1], cell[2]]);
    [low, high] = [Math.max(low - reach, Math.min(low, ...ends)), Math.min(high + reach, Math.max(high, ...ends))];
    const margin = 0.05 * (high - low) || 1;
    return [low - margin, high + margin];
  }

  /** Numbers of the horizontal axis whose labels have room. */
  function labels(width) {
    const wanted = state.log ? data.x : ticks(data.x[0], data.x.at(-1), Math.max(2, Math.floor(width / 90)));
    const kept = [];
    for (const value of wanted) {
      const half = (DIGIT * number(value).length) / 2 + 4;
      if (!kept.length || across(value) - half >= kept.at(-1).end) kept.push({ value, end: across(value) + half });
    }
    return kept.map((one) => one.value);
  }

  function draw() {
    const width = Math.max(280, svg.parentNode.clientWidth);
    const height = Math.round(Math.min(460, Math.max(280, width * 0.55)));
    const [left, right, top, bottom] = [MARGIN.left, width - MARGIN.right, MARGIN.top, height - MARGIN.bottom];
    const scaled = (x) => (state.log ? Math.log(x) : x);
    const [first, last] = [scaled(data.x[0]), scaled(data.x.at(-1))];
    const inset = Math.min(Math.max(0.05 * (right - left), (DODGE * inUse().length) / 2 + 8), 0.15 * (right - left));
    across = (x) => left + inset + ((scaled(x) - first) / (last - first)) * (right - left - 2 * inset);
    const [low, high] = limits();
    const up = (y) => bottom - ((y - low) / (high - low)) * (bottom - top);
    svg.replaceChildren();
    for (const [key, value] of Object.entries({ width, height, viewBox: `0 0 ${width} ${height}` })) svg.setAttribute(key, value);
    const what = `${data.on} accuracy (%), ${data.rules[state.rule]}`;
    svg.setAttribute("aria-label", `${what}, against ${data.label}. The left and right arrow keys read the values.`);
    svg.append(make("svg:text", { x: 0, y: 14 }, what));
    for (const y of ticks(Math.max(low, 0), Math.min(high, 100), 6)) {
      svg.append(make("svg:line", { class: "grid", x1: left, x2: right, y1: up(y), y2: up(y) }));
      svg.append(make("svg:text", { x: left - 6, y: up(y) + 4, "text-anchor": "end" }, number(y)));
    }
    for (const x of labels(right - left)) {
      svg.append(make("svg:line", { class: "grid", x1: across(x), x2: across(x), y1: top, y2: bottom }));
      svg.append(make("svg:text", { x: across(x), y: bottom + 18, "text-anchor": "middle" }, number(x)));
    }
    svg.append(make("svg:text", { x: (left + right) / 2, y: height - 6, "text-anchor": "middle" }, data.label));
    svg.append(make("svg:path", { class: "axis", d: `M${left} ${top}V${bottom}H${right}` }));
    const gaps = data.x.slice(1).map((x, i) => across(x) - across(data.x[i]));
    const drawn = inUse();
    const step = Math.min(DODGE, (SPREAD * Math.min(...gaps)) / Math.max(drawn.length - 1, 1));
    let cut = false;
    places = drawn.map((k, i) => {
      const series = data.series[k], dodge = step * (i - (drawn.length - 1) / 2);
      const points = values(series).map((cell, j) => cell && [across(data.x[j]) + dodge, up(cell[0])]);
      const group = make("svg:g", { class: "series", "data-series": k, style: `color: ${series.colour}` });
      const path = (found) => found.filter((point) => point).map((point) => point.map((v) => v.toFixed(1)).join(" "));
      if (series.published) {
        const theirs = series.published.map((y, j) => y !== null && [across(data.x[j]), up(y)]);
        group.append(make("svg:path", { class: "line", "stroke-dasharray": "2 3", d: `M${path(theirs).join("L")}` }));
        for (const point of theirs) if (point) group.append(make("svg:circle", { class: "published", cx: point[0], cy: point[1], r: 4 }));
      }
      group.append(make("svg:path", { class: "line", "stroke-dasharray": series.dash, d: `M${path(points).join("L")}` }));
      values(series).forEach((cell, j) => {
        if (!cell) return;
        const [x, y] = points[j];
        if (cell[1] !== null) {
          const [from, to] = [Math.max(cell[1], low), Math.min(cell[2], high)];
          group.append(make("svg:line", { class: "bar", x1: x, x2: x, y1: up(from), y2: up(to) }));
          if (cell[1] < low) group.append(make("svg:path", { class: "mark", d: `M${x - 4} ${bottom - 6}h8l-4 6Z` }));
          if (cell[2] > high) group.append(make("svg:path", { class: "mark", d: `M${x - 4} ${top + 6}h8l-4-6Z` }));
          cut ||= cell[1] < low || cell[2] > high;
        }
        group.append(make("svg:path", { class: "mark", d: series.mark, transform: `translate(${x} ${y}) scale(9)` }));
      });
      svg.append(group);
      return { k, points, group };
    });
    const notes = [data.note, cut && "arrow: the interval continues", data.series.some((s) => s.published) && "hollow: published"];
    if (state.rule !== data.rule) notes.push(`the verdicts and the tables below use another accuracy: ${data.rules[data.rule]}`);
    about.textContent = notes.filter((note) => note).join("; ");
    point();
  }

  /** Show the values at the chosen number, and highlight the chosen series. */
  function point() {
    svg.querySelector(".guide")?.remove();
    svg.classList.toggle("focused", state.focus !== null && shown[state.focus]);
    for (const { k, group } of places) group.classList.toggle("focus", k === state.focus);
    readout.hidden = state.at === null || !places.length;
    if (readout.hidden) return;
    const x = across(data.x[state.at]);
    svg.insertBefore(
      make("svg:line", { class: "guide", x1: x, x2: x, y1: MARGIN.top, y2: svg.height.baseVal.value - MARGIN.bottom }),
      places[0].group,
    );
    const rows = valuesAt(state.at).map(({ k, cell }) =>
      make(
        "tr",
        { class: k === state.focus ? "focus" : null },
        make("td", { class: "word" }, icon(data.series[k]), ` ${data.series[k].name}`),
        make("td", {}, percent(cell[0])),
        make("td", {}, cell[1] === null ? "" : `${percent(cell[1])} to ${percent(cell[2])}`),
      ),
    );
    readout.replaceChildren(make("table", {}, make("caption", {}, heading(state.at)), make("tbody", {}, ...rows)));
    const room = svg.parentNode.clientWidth - readout.offsetWidth;
    readout.style.left = `${x + 30 <= room ? x + 30 : Math.max(0, x - 30 - readout.offsetWidth)}px`;
  }

  const heading = (j) => `${data.label === "labelled training images n" ? "n" : data.label} = ${number(data.x[j])}`;

  const valuesAt = (j) =>
    inUse()
      .map((k) => ({ k, cell: values(data.series[k])[j] }))
      .filter((one) => one.cell)
      .sort((a, b) => b.cell[0] - a.cell[0]);

  const icon = (series) =>
    make(
      "svg:svg",
      { width: 26, height: 12, viewBox: "-13 -6 26 12", style: `color: ${series.colour}`, "aria-hidden": "true" },
      make("svg:path", { class: "line", d: "M-13 0H13", "stroke-dasharray": series.dash }),
      make("svg:path", { class: "mark", d: series.mark, transform: "scale(9)" }),
    );

  function follow(event) {
    const box = svg.getBoundingClientRect(), scale = svg.width.baseVal.value / box.width;
    const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    const far = data.x.map((value) => Math.abs(across(value) - x));
    state.at = far.indexOf(Math.min(...far));
    const there = places.filter((one) => one.points[state.at]);
    const away = there.map((one) => Math.abs(one.points[state.at][1] - y));
    state.focus = there.length ? there[away.indexOf(Math.min(...away))].k : null;
    point();
  }

  function leave() {
    state.at = state.focus = null;
    point();
  }

  function onKey(event) {
    const end = data.x.length - 1, at = state.at;
    const to = { ArrowLeft: at === null ? end : Math.max(at - 1, 0), ArrowRight: at === null ? 0 : Math.min(at + 1, end), Home: 0, End: end };
    if (event.key === "Escape") return leave();
    if (!(event.key in to)) return;
    event.preventDefault();
    [state.at, state.focus] = [to[event.key], null];
    point();
    const read = valuesAt(state.at).map(({ k, cell }) => `${data.series[k].name} ${percent(cell[0])} %`);
    status.textContent = `${heading(state.at)}: ${read.join(", ") || "no method is switched on"}`;
  }

  function show(chosen) {
    data.series.forEach((_, k) => (shown[k] = boxes[k].checked = chosen(k)));
    draw();
  }

  function choice(title, options, chosen, change) {
    const select = make("select", {}, ...Object.entries(options).map(([value, text]) => make("option", { value }, text)));
    select.value = chosen;
    select.addEventListener("change", () => (change(select.value), draw()));
    return make("label", {}, title, select);
  }

  const controls = make("div", { class: "controls" }, choice("Accuracy", data.rules, state.rule, (rule) => (state.rule = rule)));
  if (data.x[0] > 0)
    controls.append(
      choice("Axis", { log: "logarithmic", linear: "linear" }, state.log ? "log" : "linear", (axis) => (state.log = axis === "log")),
    );
  const names = data.series.map((series, k) => {
    boxes[k].checked = shown[k];
    boxes[k].addEventListener("change", () => ((shown[k] = boxes[k].checked), draw()));
    const label = make("label", {}, boxes[k], icon(series), series.name);
    label.addEventListener("pointerenter", () => ((state.focus = k), point()));
    label.addEventListener("pointerleave", leave);
    return label;
  });
  const button = (text, chosen) => {
    const made = make("button", { type: "button" }, text);
    made.addEventListener("click", () => show(chosen));
    return made;
  };
  const first = data.series.map((series) => series.shown);
  const buttons = [button("All", () => true), button("None", () => false)];
  if (first.includes(false)) buttons.splice(1, 0, button("Best few", (k) => first[k]));
  const list = make("fieldset", { class: "series-list" }, make("legend", {}, "Shown"), make("div", { class: "all" }, ...buttons), make("div", { class: "names" }, ...names));
  const plot = make("div", { class: "plot" }, svg, readout, status);
  holder.append(make("div", { class: "live" }, controls, plot, list, about));
  holder.querySelector("figure").hidden = true;
  svg.addEventListener("pointermove", follow);
  svg.addEventListener("pointerdown", follow);
  svg.addEventListener("pointerleave", leave);
  svg.addEventListener("blur", leave);
  svg.addEventListener("keydown", onKey);
  let width = 0; // the height changes with the width alone, so a redraw does not call for another
  new ResizeObserver(() => plot.clientWidth !== width && ((width = plot.clientWidth), draw())).observe(plot);
}

/** The number at the start of a cell, such as 58.2 of "58.20 ± 1.00 (3)" and 20,000 of ">20,000"; NaN if there is none. */
function leading(text) {
  const found = text.replaceAll(",", "").match(/^[<>]?\s*([-+]?\d+(\.\d+)?)/);
  return found ? Number(found[1]) : NaN;
}

/** Give a table's headers buttons that sort it, and a long table a filter. */
function enhance(table) {
  const body = table.tBodies[0], rows = [...body.rows], headers = [...table.tHead.rows[0].cells];
  if (rows.length < 2) return;
  headers.forEach((header, column) => {
    const words = header.classList.contains("word");
    const button = make("button", { type: "button" }, ...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const next = { ascending: "descending", descending: null }[header.getAttribute("aria-sort")];
      const order = next === undefined ? "ascending" : next;
      for (const other of headers) other.removeAttribute("aria-sort");
      if (order) header.setAttribute("aria-sort", order);
      const text = (row) => row.cells[column].textContent.trim();
      const compare = words
        ? (a, b) => text(a).localeCompare(text(b), "en", { numeric: true })
        : (a, b) => leading(text(a)) - leading(text(b));
      const empty = (row) => !text(row) || text(row).startsWith("–") || (!words && Number.isNaN(leading(text(row))));
      const full = rows.filter((row) => !empty(row)).sort(compare);
      if (order === "descending") full.reverse();
      body.append(...(order ? [...full, ...rows.filter(empty)] : rows));
    });
  });
  if (rows.length < FILTER_FROM) return;
  const count = make("span", { role: "status" }), input = make("input", { type: "search" });
  input.addEventListener("input", () => {
    const wanted = input.value.toLowerCase().split(/\s+/);
    for (const row of rows) row.hidden = !wanted.every((word) => row.textContent.toLowerCase().includes(word));
    const left = rows.filter((row) => !row.hidden).length;
    count.textContent = left < rows.length ? `${left} of ${rows.length} rows` : "";
  });
  table.parentNode.before(make("div", { class: "filter" }, make("label", {}, "Filter ", input), count));
}

document.querySelectorAll(".chart").forEach(drawChart);
document.querySelectorAll("table").forEach(enhance);
