"use strict";
// What a page does beside standing there: tables that sort and filter, and a slider through images. It loads nothing and stores nothing.
(() => {
  const make = (name, properties = {}, children = []) => {
    const node = Object.assign(document.createElement(name), properties);
    node.append(...children);
    return node;
  };

  // A cell as a number ("−3.6 ± 0.2" is −3.6), or null.
  const number = (text) => {
    const found = /^[+]?(-?\d*\.?\d+(?:e[-+]?\d+)?)/i.exec(text.trim().replace(/−/g, "-"));
    return found === null ? null : Number(found[1]);
  };

  const compare = (a, b) => {
    if (a.text === "" || b.text === "") return (a.text === "") - (b.text === "");
    if (a.number !== null && b.number !== null) return a.number - b.number;
    return a.text.localeCompare(b.text, "en", { numeric: true });
  };

  function enhance(section) {
    const table = section.querySelector("table");
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    const rows = [...body.rows].map((row, index) => ({
      row,
      index,
      cells: [...row.cells].map((cell) => ({ text: cell.textContent.trim(), number: number(cell.textContent) })),
    }));
    if (rows.length < 2) return;
    let order = { column: -1, down: false };

    const sort = () => {
      const { column, down } = order;
      const sorted = [...rows].sort((a, b) => {
        if (column < 0) return a.index - b.index;
        const [x, y] = [a.cells[column], b.cells[column]];
        // What has no value comes last, whichever way.
        const way = down && x.text !== "" && y.text !== "" ? -1 : 1;
        return way * compare(x, y) || a.index - b.index;
      });
      body.append(...sorted.map((entry) => entry.row));
      heads.forEach((head, i) => {
        if (i === column) head.setAttribute("aria-sort", down ? "descending" : "ascending");
        else head.removeAttribute("aria-sort");
      });
    };
    heads.forEach((head, column) => {
      const button = make("button", { type: "button", title: "Sort by this column" }, [...head.childNodes]);
      button.addEventListener("click", () => {
        if (order.column !== column) order = { column, down: false };
        else if (!order.down) order = { column, down: true };
        else order = { column: -1, down: false };
        sort();
      });
      head.replaceChildren(button);
    });
    if (rows.length < 6) return;

    const count = make("span", { className: "count" });
    count.setAttribute("role", "status");
    const words = make("input", { type: "search", placeholder: "Filter rows", size: 16 });
    words.setAttribute("aria-label", "Show rows that hold these words");
    const chosen = heads.map((head, column) => {
      const values = [...new Set(rows.map((entry) => entry.cells[column].text))];
      // Settings are chosen from; results, which have many digits, are not.
      if (values.length < 2 || values.length > 12 || values.length === rows.length || values.some((value) => /\.\d{4}/.test(value))) return null;
      values.sort((a, b) => compare({ text: a, number: number(a) }, { text: b, number: number(b) }));
      const options = values.map((value) => make("option", { value, textContent: value === "" ? "(none)" : value }));
      return make("select", { column, title: head.textContent }, [make("option", { value: "*", textContent: "all" }), ...options]);
    });
    const filter = () => {
      const asked = words.value.toLowerCase().split(/\s+/).filter((word) => word !== "");
      let shown = 0;
      for (const { row, cells } of rows) {
        // A number is meant whole: 10 does not show 100.
        const holds = (word) => cells.some(({ text }) => (number(word) === null ? text.toLowerCase().includes(word) : text === word || text.replace(/−/g, "-") === word));
        const fits = asked.every(holds) && chosen.every((select) => select === null || select.value === "*" || cells[select.column].text === select.value);
        row.hidden = !fits;
        shown += fits;
      }
      count.textContent = shown === rows.length ? `${shown} rows` : `${shown} of ${rows.length} rows`;
    };
    const labels = chosen.filter((select) => select !== null).map((select) => {
      select.addEventListener("change", filter);
      return make("label", {}, [`${select.title} `, select]);
    });
    words.addEventListener("input", filter);
    section.querySelector(".scroll").before(make("div", { className: "tools" }, [words, ...labels, count]));
    filter();
  }

  const draw = (name, attributes, text) => {
    // The name space of SVG, as the page's own figures have it.
    const node = document.createElementNS(document.querySelector("svg").namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const signed = (value, digits = 1) => {
    const text = Math.abs(value).toFixed(digits);
    return Number(text) === 0 ? text : (value < 0 ? "−" : "+") + text;
  };
  const GAIN = 8;

  function explore(section) {
    const data = JSON.parse(section.querySelector("script").textContent);
    const frames = new Map(data.frames.map((frame) => [frame.at.join(), frame]));
    const range = section.querySelector("input[type=range]");
    const output = section.querySelector("output");
    const choices = [...section.querySelectorAll("select.choice")];
    const estimator = section.querySelector("select.estimator");
    const image = section.querySelector("svg.image");
    const curve = section.querySelector("svg.curve");
    const readout = section.querySelector(".readout");
    image.setAttribute("viewBox", `0 0 ${data.width} ${data.height}`);
    section.querySelector(".gain").textContent = GAIN;
    const picture = draw("image", { width: data.width, height: data.height, preserveAspectRatio: "none" });
    const overlay = draw("g", {});
    image.append(picture, overlay);
    const heads = ["estimator", "measured x, y (pm)", "true x, y (pm)", "apparent x, y (pm)"];
    readout.tHead.append(make("tr", {}, heads.map((textContent) => make("th", { textContent, scope: "col" }))));

    const unit = data.width / 100;
    const mark = ([site, x, y], found) => {
      const [cx, cy, r] = [x + 0.5, y + 0.5, (found ? 1.1 : 1.7) * unit];
      const name = `${found ? "fitted" : "true"}-${site === 0 ? "a" : "b"}`;
      if (site === 0) return draw("circle", { cx, cy, r, class: name });
      return draw("rect", { x: cx - r, y: cy - r, width: 2 * r, height: 2 * r, class: name });
    };
    const arrow = ([, x, y], [dx, dy]) => {
      const [x0, y0] = [x + 0.5, y + 0.5];
      const [u, v] = [dx, dy].map((pm) => (GAIN * pm) / data.pixel_pm);
      const length = Math.hypot(u, v);
      if (length < unit) return [];
      const [x1, y1, h] = [x0 + u, y0 + v, Math.min(2.2 * unit, 0.5 * length)];
      const [ex, ey] = [u / length, v / length];
      const head = `M${x1} ${y1} L${x1 - h * ex - 0.5 * h * ey} ${y1 - h * ey + 0.5 * h * ex} L${x1 - h * ex + 0.5 * h * ey} ${y1 - h * ey - 0.5 * h * ex} Z`;
      return [
        draw("line", { x1: x0, y1: y0, x2: x1 - 0.7 * h * ex, y2: y1 - 0.7 * h * ey, class: "apparent", "stroke-width": 0.7 * unit }),
        draw("path", { d: head, class: "apparent-head" }),
      ];
    };
    const bar = () => {
      const pm = 200;
      const length = pm / data.pixel_pm;
      const [x, y] = [3 * unit, data.height - 4 * unit];
      return [
        draw("rect", { x: x - unit, y: y - 5.4 * unit, width: length + 2 * unit, height: 7.4 * unit, fill: "#000", "fill-opacity": 0.8 }),
        draw("rect", { x, y, width: length, height: unit, fill: "#fff" }),
        draw("text", { x: x + length / 2, y: y - unit, "text-anchor": "middle", "font-size": 4 * unit, fill: "#fff" }, `${pm} pm`),
      ];
    };
    const apparent = ({ measured, true: truth }) => (measured === null ? null : [0, 1].map((c) => measured[c] - truth[c]));

    function plot(stop, chosen, which) {
      const [width, height, left, right, top, bottom] = [360, 150, 46, 10, 20, 30];
      curve.setAttribute("viewBox", `0 0 ${width} ${height}`);
      const points = data.stops.map((_, i) => {
        const frame = frames.get([i, ...chosen].join());
        return frame === undefined ? null : apparent(frame.found[which]);
      });
      const values = points.flatMap((point) => point ?? []).concat(0);
      const [low, high] = [Math.min(...values), Math.max(...values)];
      const room = Math.max(0.1 * (high - low), 0.05);
      const x = (i) => left + ((width - left - right) * i) / Math.max(data.stops.length - 1, 1);
      const y = (v) => top + ((height - top - bottom) * (high + room - v)) / (high - low + 2 * room);
      const line = (c) => {
        let [path, pen] = ["", "M"];
        points.forEach((point, i) => {
          if (point === null) pen = "M";
          else [path, pen] = [`${path}${pen}${x(i).toFixed(1)} ${y(point[c]).toFixed(1)} `, "L"];
        });
        return draw("path", { d: path, class: c === 0 ? "along-x" : "along-y" });
      };
      const label = (at, text, anchor) => draw("text", { ...at, "text-anchor": anchor }, text);
      const shown = [...new Set([low, 0, high])].filter((v) => v === 0 || Math.abs(y(v) - y(0)) > 12);
      const name = range.closest("label").querySelector("span").firstChild.textContent.trim();
      curve.replaceChildren(
        curve.querySelector("title"),
        label({ x: 2, y: 11 }, "apparent shift (pm):", "start"),
        label({ x: 122, y: 11, class: "name-x" }, "— along x", "start"),
        label({ x: 190, y: 11, class: "name-y" }, "- - along y", "start"),
        ...shown.map((v) => label({ x: left - 5, y: y(v) + 3.5 }, signed(v), "end")),
        draw("line", { x1: left, x2: width - right, y1: y(0), y2: y(0), class: "zero" }),
        draw("line", { x1: x(stop), x2: x(stop), y1: top, y2: height - bottom, class: "cursor" }),
        line(1),
        line(0),
        ...(points[stop] === null ? [] : [1, 0].map((c) => draw("circle", { cx: x(stop), cy: y(points[stop][c]), r: 3.2, class: c === 0 ? "dot-x" : "dot-y" }))),
        label({ x: left, y: height - bottom + 13 }, data.stops[0], "middle"),
        label({ x: width - right, y: height - bottom + 13 }, data.stops.at(-1), "end"),
        label({ x: (left + width - right) / 2, y: height - 4 }, name, "middle"),
      );
    }

    function show() {
      const stop = Number(range.value);
      const chosen = choices.map((select) => Number(select.value));
      const which = Number(estimator.value);
      const frame = frames.get([stop, ...chosen].join());
      output.textContent = `= ${data.stops[stop]}`;
      range.setAttribute("aria-valuetext", data.stops[stop]);
      plot(stop, chosen, which);
      if (frame === undefined) {
        // A combination that the study does not have.
        picture.removeAttribute("href");
        overlay.replaceChildren();
        readout.tBodies[0].replaceChildren(make("tr", {}, [make("td", { colSpan: 4, textContent: "The study has no such point." })]));
        return;
      }
      picture.setAttribute("href", `data:image/png;base64,${frame.image}`);
      const found = frame.found[which];
      const shift = apparent(found);
      const arrows = shift === null ? [] : found.marks.filter(([site]) => site === 1).flatMap((m) => arrow(m, shift));
      overlay.replaceChildren(...frame.truth.map((m) => mark(m, false)), ...found.marks.map((m) => mark(m, true)), ...arrows, ...bar());
      const pair = (v) => (v === null ? "not measured" : `${signed(v[0])}, ${signed(v[1])}`);
      readout.tBodies[0].replaceChildren(
        ...frame.found.map((entry, i) => {
          const cells = [data.estimators[i], pair(entry.measured), pair(entry.true), pair(apparent(entry))];
          return make("tr", { className: i === which ? "chosen" : "" }, cells.map((textContent) => make("td", { textContent })));
        }),
      );
    }

    [range, estimator, ...choices].forEach((control) => control.addEventListener("input", show));
    section.hidden = false;
    for (const link of document.querySelectorAll('nav a[href="#explorer"]')) link.hidden = false;
    show();
  }

  document.querySelectorAll("section.sortable").forEach(enhance);
  const section = document.getElementById("explorer");
  if (section !== null) explore(section);
})();
