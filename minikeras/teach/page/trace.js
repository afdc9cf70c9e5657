"use strict";
// Shows the steps in the element #data, which trace_page.py writes. Text of the model
// only ever becomes text: everything is made with createElement and textContent.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const PHASES = { start: "Start", forward: "Forward", loss: "Loss", backward: "Backward", update: "Update" };
  const NARROWEST_AS_TEXT = 60; // of a column, in pixels
  const MOST_ROWS_AS_TEXT = 16;
  const FOLD = 32; // a longer vector goes on in the next row
  let here = 0;
  let redraws = []; // pictures of the step that is shown

  function make(tag, className, ...children) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    element.append(...children);
    return element;
  }

  // --- Numbers ------------------------------------------------------------------------

  const KINDS = { f4: Float32Array, f8: Float64Array, u1: Uint8Array };
  const decoded = new Map();

  function numbers(index) {
    if (!decoded.has(index)) {
      const { kind, data: text } = data.arrays[index];
      const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
      const values = new KINDS[kind](bytes.buffer);
      data.arrays[index].whole = values.every(Number.isInteger);
      decoded.set(index, values);
    }
    return decoded.get(index);
  }

  function exact(value, array) {
    if (array.kind === "u1") return value ? "True" : "False";
    if (Number.isNaN(value)) return "nan";
    if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
    if (array.kind === "f4") { // the shortest text that is this float32
      for (let digits = 6; digits <= 9; digits++) {
        const text = value.toPrecision(digits);
        if (Math.fround(Number(text)) === value) return String(Number(text));
      }
    }
    return String(value);
  }

  // Rounded, all numbers of an array to the same place: three digits of the largest.
  function short(value, array, scale = array.scale) {
    if (array.kind === "u1") return value ? "True" : "False";
    if (!Number.isFinite(value)) return exact(value, array);
    if (value === 0 || (array.whole && Number.isInteger(value) && scale < 1e6)) return String(value);
    if (scale >= 1e5 || scale < 1e-4) return value.toExponential(1);
    const places = Math.max(0, Math.min(6, 2 - Math.floor(Math.log10(scale))));
    const text = value.toFixed(places);
    return Number(text) === 0 ? value.toExponential(0) : text;
  }

  // --- Colours ------------------------------------------------------------------------

  let palette = null;

  function readPalette() {
    const style = getComputedStyle(document.documentElement);
    const rgb = (name) => {
      const hex = style.getPropertyValue(name).trim().slice(1);
      return [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16));
    };
    palette = { zero: rgb("--zero"), positive: rgb("--positive"), negative: rgb("--negative"), none: rgb("--none") };
  }

  function colour(value, scale) {
    if (!Number.isFinite(value)) return palette.none;
    const end = value < 0 ? palette.negative : palette.positive;
    const part = scale ? Math.min(Math.abs(value) / scale, 1) : 0;
    return palette.zero.map((from, i) => Math.round(from + (end[i] - from) * part));
  }

  function inkOn(rgb) {
    const [r, g, b] = rgb.map((c) => ((c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
  }

  // --- One array ----------------------------------------------------------------------

  function tuple(sizes) {
    return `(${sizes.join(", ")}${sizes.length === 1 ? "," : ""})`;
  }

  // A view of two axes of an array; the others are held at `fixed`.
  function viewOf(entry, array) {
    const window = array.window;
    const strides = window.map((_, axis) => window.slice(axis + 1).reduce((a, b) => a * b, 1));
    const [rowAxis, columnAxis] = entry.shown;
    const fixed = window.map(() => 0);
    const values = numbers(entry.array);
    const long = window.length === 1 && window[0] > FOLD;
    const place = (row, column) => {
      if (long) return [row * FOLD + column];
      const index = [...fixed];
      if (rowAxis >= 0) index[rowAxis] = row;
      if (columnAxis >= 0) index[columnAxis] = column;
      return index;
    };
    const at = (row, column) => place(row, column).reduce((sum, n, axis) => sum + n * strides[axis], 0);
    return {
      fixed, place, rowAxis, columnAxis, long,
      rows: long ? Math.ceil(window[0] / FOLD) : rowAxis >= 0 ? window[rowAxis] : 1,
      columns: long ? FOLD : columnAxis >= 0 ? window[columnAxis] : 1,
      has: (row, column) => at(row, column) < values.length,
      value: (row, column) => values[at(row, column)],
    };
  }

  function axisText(entry, array) {
    const line = make("p", "axes");
    array.shape.forEach((size, axis) => {
      if (axis) line.append(" × ");
      const role = axis === entry.shown[0] ? "↓\u00a0" : axis === entry.shown[1] ? "→\u00a0" : "";
      line.append(role, make("b", "", `${size}`), entry.axes[axis] ? ` ${entry.axes[axis]}` : "");
    });
    return line;
  }

  function card(entry) {
    const array = data.arrays[entry.array];
    const title = make("h4", "", entry.name, " ", make("span", "", `${tuple(array.shape)} ${array.dtype}`));
    const box = make("div", "card", title);
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", `${entry.name}, shape ${tuple(array.shape)}`);
    box.dataset.name = entry.name;
    if (array.shape.length) box.append(axisText(entry, array));
    if (array.window.length === 1 && array.window[0] > FOLD) box.append(make("p", "part", `In rows of ${FOLD}.`));
    if (entry.meaning) box.append(make("p", "meaning", entry.meaning));
    if (!array.shape.every((n) => n > 0)) {
      box.append(make("p", "part", "Empty: it has no numbers."));
      return box;
    }
    const isPart = array.shape.some((n, axis) => n !== array.window[axis]);
    if (isPart) {
      box.append(make("p", "part", `Shown: the first ${array.window.join(" × ")} of ${array.shape.join(" × ")}.`));
    }
    const view = viewOf(entry, array);
    const readout = make("output", "readout idle");
    if (array.low !== null && array.kind !== "u1") readout.append(`${isPart ? "of all: " : ""}${short(array.low, array)} to ${short(array.high, array)}, mean ${short(array.mean, array)}`);
    const scale = entry.scale ?? array.scale;
    const fits = view.columns * NARROWEST_AS_TEXT <= Math.max(byId("main").clientWidth - 60, 4 * NARROWEST_AS_TEXT);
    const asText = fits && view.rows <= MOST_ROWS_AS_TEXT;
    const show = (row, column) => {
      if (!view.has(row, column)) return;
      readout.classList.remove("idle");
      const index = view.place(row, column).join(", ");
      readout.textContent = `[${index}] = ${exact(view.value(row, column), array)}`;
    };
    const picture = (asText ? table : map)(entry, array, view, scale, show);
    box.append(...pickers(entry, array, view, picture.draw), readout, picture.element);
    if (array.kind !== "u1" && scale) {
      box.append(make("p", "scale", short(-scale, array, scale), make("i"), short(scale, array, scale)));
    }
    redraws.push(picture.draw);
    return box;
  }

  // For each axis that is neither rows nor columns: which place along it is shown.
  function pickers(entry, array, view, draw) {
    const line = make("div", "pick");
    array.window.forEach((size, axis) => {
      if (axis === view.rowAxis || axis === view.columnAxis || size < 2) return;
      const input = make("input");
      Object.assign(input, { type: "number", min: 0, max: size - 1, value: 0 });
      const name = entry.axes[axis] || `axis ${axis}`;
      input.addEventListener("input", () => {
        view.fixed[axis] = Math.max(0, Math.min(size - 1, Math.trunc(Number(input.value)) || 0));
        draw();
      });
      line.append(make("label", "", name, input, ` of 0 to ${size - 1}`));
    });
    return line.childElementCount ? [line] : [];
  }

  // Which cell the arrow keys lead to; null for other keys.
  function moved(event, row, column, rows, columns) {
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [0, -columns], End: [0, columns], PageUp: [-rows, 0], PageDown: [rows, 0] };
    const step = steps[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return null;
    event.preventDefault();
    event.stopPropagation();
    const within = (n, most) => Math.max(0, Math.min(most - 1, n));
    return [within(row + step[0], rows), within(column + step[1], columns)];
  }

  // --- Small arrays: a table with the numbers in it -----------------------------------

  function table(entry, array, view, scale, show) {
    const grid = make("table", "cells");
    grid.setAttribute("role", "grid");
    grid.setAttribute("aria-label", `The numbers of ${entry.name}`);
    const head = make("thead");
    const gates = Object.entries(entry.gates || {});
    if (gates.length) {
      const line = make("tr", "", make("td", "corner"));
      for (const [name, [start, stop]] of gates) {
        const cell = make("th", "gate", name);
        cell.colSpan = stop - start;
        cell.scope = "colgroup";
        line.append(cell);
      }
      head.append(line);
    }
    const heading = (scope, text) => Object.assign(make("th", "", text), { scope });
    const top = make("tr", "", make("td", "corner"));
    for (let column = 0; column < view.columns; column++) top.append(heading("col", view.columnAxis >= 0 ? `${column}` : ""));
    head.append(top);
    const body = make("tbody");
    const cells = [];
    for (let row = 0; row < view.rows; row++) {
      const line = make("tr", "", heading("row", view.rowAxis >= 0 ? `${row}` : ""));
      cells.push([]);
      for (let column = 0; column < view.columns; column++) {
        const cell = make("td");
        cell.tabIndex = row || column ? -1 : 0;
        cell.addEventListener("mouseenter", () => show(row, column));
        cell.addEventListener("focus", () => show(row, column));
        cell.addEventListener("click", () => cell.focus());
        cell.addEventListener("keydown", (event) => {
          const to = moved(event, row, column, view.rows, view.columns);
          if (!to) return;
          cell.tabIndex = -1;
          cells[to[0]][to[1]].tabIndex = 0;
          cells[to[0]][to[1]].focus();
        });
        cells[row].push(cell);
        line.append(cell);
      }
      body.append(line);
    }
    grid.append(head, body);
    const draw = () => {
      cells.forEach((line, row) => line.forEach((cell, column) => {
        const value = view.value(row, column);
        const rgb = colour(value, array.kind === "u1" ? 1 : scale);
        cell.textContent = short(value, array, scale);
        cell.style.background = `rgb(${rgb.join(",")})`;
        cell.style.color = inkOn(rgb);
        const index = view.place(row, column).join(", ");
        cell.setAttribute("aria-label", `${entry.name}[${index}] = ${exact(value, array)}`);
      }));
    };
    draw();
    return { element: make("div", "scroll", grid), draw };
  }

  // --- Larger ones: a picture with one square for each number -------------------------

  function map(entry, array, view, scale, show) {
    const canvas = make("canvas");
    const cursor = make("div", "cursor");
    const holder = make("div", "map", canvas, cursor);
    const outer = make("div", "scroll", holder);
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-roledescription", "heat map");
    canvas.setAttribute("aria-label", `Heat map of ${entry.name}, ${view.rows} rows and ${view.columns} columns. The arrow keys read single numbers.`);
    const gates = make("div", "gates");
    for (const [name, [start, stop]] of Object.entries(entry.gates || {})) {
      if (start >= view.columns || view.long) continue;
      const part = make("span", "", name);
      part.style.width = `${(100 * (Math.min(stop, view.columns) - start)) / view.columns}%`;
      gates.append(part);
    }
    if (gates.childElementCount) holder.prepend(gates);
    let size = 1, row = 0, column = 0;
    const draw = () => {
      const room = Math.min(byId("main").clientWidth - 40, 340);
      size = Math.max(2, Math.floor(Math.min(22, room / view.columns, Math.max(5, 340 / view.rows))));
      const ratio = window.devicePixelRatio || 1;
      const width = size * view.columns, height = size * view.rows;
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
      const brush = canvas.getContext("2d");
      brush.setTransform(canvas.width / width, 0, 0, canvas.height / height, 0, 0);
      const gap = size >= 6 ? 1 : 0;
      for (let r = 0; r < view.rows; r++) {
        for (let c = 0; c < view.columns; c++) {
          if (!view.has(r, c)) continue;
          brush.fillStyle = `rgb(${colour(view.value(r, c), array.kind === "u1" ? 1 : scale).join(",")})`;
          brush.fillRect(c * size, r * size, size - gap, size - gap);
        }
      }
      if (cursor.style.display === "block") point(row, column, true);
    };
    const point = (r, c, framed) => {
      if (!view.has(r, c)) return;
      [row, column] = [r, c];
      show(row, column);
      cursor.style.display = framed ? "block" : "none";
      const shift = gates.childElementCount ? gates.offsetHeight : 0;
      Object.assign(cursor.style, { left: `${c * size - 2}px`, top: `${r * size - 2 + shift}px`, width: `${size + 3}px`, height: `${size + 3}px` });
    };
    const cellAt = (event) => {
      const box = canvas.getBoundingClientRect();
      const within = (n, most) => Math.max(0, Math.min(most - 1, Math.floor(n / size)));
      return [within(event.clientY - box.top, view.rows), within(event.clientX - box.left, view.columns)];
    };
    canvas.addEventListener("pointermove", (event) => point(...cellAt(event), true));
    canvas.addEventListener("pointerdown", (event) => point(...cellAt(event), true));
    canvas.addEventListener("pointerleave", () => { if (document.activeElement !== canvas) cursor.style.display = "none"; });
    canvas.addEventListener("focus", () => point(row, column, true));
    canvas.addEventListener("blur", () => { cursor.style.display = "none"; });
    canvas.addEventListener("keydown", (event) => {
      const to = moved(event, row, column, view.rows, view.columns);
      if (to) point(...to, true);
    });
    return { element: outer, draw };
  }

  // --- One step -----------------------------------------------------------------------

  // Paragraphs, `code`, and lines indented by four spaces, as in docstrings.
  function prose(text) {
    const box = make("div", "formula");
    const blocks = [];
    for (const line of text.split("\n")) {
      const isCode = line.startsWith("    ");
      const last = blocks[blocks.length - 1];
      if (!line.trim()) blocks.push(null);
      else if (last && last.isCode === isCode) last.lines.push(isCode ? line.slice(4) : line);
      else blocks.push({ isCode, lines: [isCode ? line.slice(4) : line] });
    }
    for (const block of blocks) {
      if (!block) continue;
      if (block.isCode) {
        const code = make("pre", "", block.lines.join("\n"));
        code.tabIndex = 0;
        box.append(code);
        continue;
      }
      const paragraph = make("p");
      block.lines.join(" ").replaceAll("**", "").split("`").forEach((part, i) => paragraph.append(i % 2 ? make("code", "", part) : part));
      box.append(paragraph);
    }
    return box;
  }

  function group(found) {
    const cards = make("div", "cards");
    const fill = () => { for (const entry of found.arrays) cards.append(card(entry)); };
    const section = make("section", "group");
    if (found.folded) {
      const count = found.arrays.length;
      const details = make("details", "", make("summary", "", `${found.title}: ${count} ${count === 1 ? "array" : "arrays"}`), cards);
      details.addEventListener("toggle", () => {
        if (!details.open || cards.childElementCount) return;
        fill();
        redraw();
      });
      section.append(details);
    } else {
      section.append(make("h3", "", found.title), cards);
      fill();
    }
    return section;
  }

  function redraw() {
    for (const draw of redraws) draw();
  }

  function sameKind(step) {
    return data.steps.filter((other) => other.phase === step.phase);
  }

  function phaseText(step) {
    const all = sameKind(step);
    return all.length > 1 ? `${PHASES[step.phase]} ${all.indexOf(step) + 1} of ${all.length}` : PHASES[step.phase];
  }

  function go(index, scroll = true) {
    here = Math.max(0, Math.min(data.steps.length - 1, index));
    const step = data.steps[here];
    const main = byId("main");
    redraws = [];
    main.className = step.phase;
    main.dataset.step = here;
    main.replaceChildren(make("p", "phase", phaseText(step)), make("h2", "", step.title));
    if (step.subtitle) main.append(make("p", "made", step.subtitle));
    if (step.shapes) main.append(make("p", "shapes", step.shapes));
    if (step.formula) main.append(prose(step.formula));
    if (step.notes.length) main.append(make("ul", "notes", ...step.notes.map((note) => make("li", "", note))));
    const open = step.groups.filter((found) => !found.folded);
    main.append(make("div", "flow", ...open.map(group)));
    main.append(...step.groups.filter((found) => found.folded).map(group));
    if (!here) main.append(help());
    redraw();
    // Not `disabled`: the button that has the focus keeps it.
    byId("back").setAttribute("aria-disabled", String(here === 0));
    byId("next").setAttribute("aria-disabled", String(here === data.steps.length - 1));
    byId("where").textContent = `Step ${here + 1} of ${data.steps.length}: ${phaseText(step).toLowerCase()}, ${step.title}`;
    [...byId("line").children].forEach((part, i) => {
      part.classList.toggle("past", i < here);
      part.classList.toggle("here", i === here);
    });
    byId("steps").querySelectorAll("button").forEach((button, i) => {
      if (i === here) button.setAttribute("aria-current", "step");
      else button.removeAttribute("aria-current");
      if (i === here && button.offsetParent) button.scrollIntoView({ block: "nearest" });
    });
    if (scroll) window.scrollTo(0, 0);
  }

  function help() {
    const key = (text) => make("kbd", "", text);
    return make("p", "help", key("→"), " and ", key("←"), " go from step to step, ", key("Home"), " and ", key("End"),
      " to the first and last. ", key("Tab"), " leads into an array; there the arrow keys read its numbers, as does pointing at them. Blue is negative, orange positive; the strongest colour is the largest number of the array.");
  }

  // --- The page -----------------------------------------------------------------------

  function listSteps() {
    const nav = byId("steps");
    let list = null, phase = "";
    byId("line").classList.toggle("dense", data.steps.length > 50);
    data.steps.forEach((step, i) => {
      if (step.phase !== phase) {
        phase = step.phase;
        list = make("ol", phase);
        nav.append(make("h2", phase, PHASES[phase]), list);
      }
      const button = make("button", "", step.title);
      button.type = "button";
      button.style.setProperty("--depth", step.depth);
      button.addEventListener("click", () => { openList(false); go(i); });
      list.append(make("li", "", button));
      const part = make("span", `${step.phase}${i && data.steps[i - 1].phase !== step.phase ? " first" : ""}`);
      part.addEventListener("click", () => go(i));
      byId("line").append(part);
    });
  }

  function openList(open) {
    byId("steps").classList.toggle("open", open);
    byId("list").setAttribute("aria-expanded", String(open));
    byId("list").textContent = open ? "Close" : "Steps";
    if (open) byId("steps").querySelector("[aria-current]").focus();
  }

  readPalette();
  byId("title").textContent = data.title;
  byId("facts").textContent = `Loss ${data.loss}, optimizer ${data.optimizer}`;
  listSteps();
  byId("back").addEventListener("click", () => go(here - 1));
  byId("next").addEventListener("click", () => go(here + 1));
  byId("list").addEventListener("click", () => openList(!byId("steps").classList.contains("open")));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") openList(false);
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, canvas, table")) return;
    const to = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: data.steps.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    go(to);
  });
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return; // the address bar of a phone came or went
    width = window.innerWidth;
    redraw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readPalette(); redraw(); });
  go(0, false);
})();
