"use strict";
// The panels below the columns: what is selected, passes, kernels, memory.

const PANELS = { selection: "Selection", passes: "Passes", kernels: "Kernels", memory: "Memory" };

function row(cells, attributes = {}) {
  return element("tr", attributes, ...cells.map((cell) =>
    cell instanceof Node ? cell : element("td", {}, String(cell))));
}

const numeric = (text) => element("td", { class: "num" }, text);
const code = (text) => element("td", {}, element("code", {}, text));
const link = (text, onclick) => element("a", { onclick }, text);

function meter(share) {
  const fill = element("i");
  fill.style.width = `${Math.max(0, Math.min(100, 100 * share))}%`;
  return element("span", { class: "meter" }, fill);
}

function table(heads, rows) {
  const head = heads.map((text) => element("th", { class: /^[#%]/.test(text) ? "num" : "" }, text.replace(/^[#%]/, "")));
  return element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
}

function passesPanel(state) {
  const { program } = state, longest = Math.max(...program.stages.map((s) => s.seconds));
  const shown = program.stages.find((s) => s.name === state.pass) || program.stages.find((s) => s.diff) || program.stages[0];
  const rows = program.stages.map((stage, at) => {
    const before = at && program.stages[at - 1].nodes, change = stage.nodes !== null && at ? stage.nodes - before : null;
    return row([code(stage.name), numeric(stage.nodes === null ? "" : String(stage.nodes)),
      numeric(change === null ? "" : change > 0 ? `+${change}` : String(change)),
      numeric(stage.seconds ? milliseconds(stage.seconds) : ""), element("td", {}, meter(stage.seconds / longest))],
    { class: stage === shown ? "lit" : "", onclick: () => state.on.pass(stage) });
  });
  const lines = shown.diff ? shown.diff.trimEnd().split("\n").slice(2) : [];
  const most = 1500;
  const parts = lines.slice(0, most).map((text) => element("div", {
    class: text[0] === "+" ? "add" : text[0] === "-" ? "del" : text[0] === "@" ? "at" : "" }, text));
  if (lines.length > most) parts.push(element("div", { class: "at" }, `… ${lines.length - most} more lines: graphc dump MODEL --diff`));
  const difference = lines.length ? element("div", { class: "diff code" }, ...parts)
    : element("div", { class: "empty" }, shown.nodes === null ? `${shown.name} is another language: see its column.`
      : shown === program.stages[0] ? "The program as the layers traced it." : "This pass changed nothing.");
  const fired = Object.entries(shown.rules).map(([rule, count]) => element("span", {}, ` ${rule} `, element("b", {}, `×${count}`)));
  const rules = fired.length ? element("div", { class: "rules" }, "rules that fired:", ...fired) : null;
  return element("div", { class: "pair" }, element("div", {}, table(["stage", "#nodes", "#change", "#time", ""], rows)),
    element("div", {}, ...[rules, difference].filter((part) => part)));
}

function kernelsPanel(state) {
  const { program, selection } = state, profile = program.profile;
  const cost = (k) => (profile ? (profile[k.name] || { seconds: 0 }).seconds : k.operations);
  const total = program.kernels.reduce((sum, k) => sum + cost(k), 0) || 1;
  const rows = program.kernels.map((kernel, at) => {
    const measured = profile && profile[kernel.name];
    const lit = selection && (selection.kind === "kernel" ? selection.kernel === at
      : selection.kind === "value" ? selection.kernels.has(at) : kernel.layers.some((l) => layerMatches(l, selection.name)));
    const time = profile ? [numeric(measured ? `${(1e6 * measured.seconds).toFixed(1)} µs` : ""),
      numeric(measured && measured.flops ? (measured.flops / measured.seconds / 1e9).toFixed(1) : "")] : [];
    return { cost: cost(kernel), row: row([code(kernel.name), kernel.kind, numeric(String(kernel.phase)), ...time,
      numeric(short(kernel.operations)), element("td", {}, meter(cost(kernel) / total)), numeric(`${(100 * cost(kernel) / total).toFixed(1)}%`),
      kernel.layers.join(", "), element("td", { class: "wide" }, kernel.ops.join(" "))],
    { class: lit ? "lit" : "", onclick: () => state.on.kernel(at) }) };
  });
  rows.sort((a, b) => b.cost - a.cost);
  const heads = ["kernel", "kind", "#phase", ...(profile ? ["#time", "#GFLOP/s"] : []), "#operations", profile ? "share of time" : "share of work", "#", "layers", "ops"];
  const list = table(heads, rows.map((item) => item.row));
  return profile ? element("div", {}, timeline(state, total), list) : list;
}

// The kernels of a step one after the other, as long as they were measured to take.
function timeline(state, total) {
  const { program, selection } = state, bar = element("div", { class: "timeline" });
  program.kernels.forEach((kernel, at) => {
    const measured = program.profile[kernel.name];
    if (!measured) return;
    const call = state.calls.find((c) => kernel.layers.some((layer) => layerMatches(layer, c.layer)));
    const lit = selection && selection.kind === "kernel" && selection.kernel === at;
    const part = element("i", { class: lit ? "lit" : "", onclick: () => state.on.kernel(at),
      title: `${kernel.name}, ${kernel.layers.join(", ")}: ${(1e6 * measured.seconds).toFixed(1)} µs` });
    part.style.width = `${(100 * measured.seconds) / total}%`;
    part.style.background = call ? colour(call.kind) : "var(--faint)";
    bar.append(part);
  });
  return bar;
}

function memoryPanel(state) {
  const { program } = state, found = program.buffers.filter((b) => b.offset !== null);
  const { arena, apart, registers } = program.memory;
  const facts = element("div", { class: "facts" });
  const saved = apart ? Math.round(100 * (1 - arena / apart)) : 0;
  for (const [name, value] of [["arena", bytes(arena)], ["each value apart", bytes(apart)], ["saved", `${saved}%`],
    ["never written, in registers", bytes(registers)], ["for", `${program.rows} rows`]]) {
    facts.append(element("span", {}, `${name} `, element("b", {}, value)));
  }
  if (!found.length) return element("div", {}, facts, element("div", { class: "empty" }, "Nothing needs memory of its own: all values are arguments or in registers."));
  const phases = Math.max(...found.map((b) => b.last)) + 1;
  const live = Array.from({ length: phases }, (_, p) => found.reduce((sum, b) => sum + (b.born <= p && p <= b.last ? b.size : 0), 0));
  const peak = live.indexOf(Math.max(...live)), end = Math.max(...found.map((b) => b.offset + b.size));
  const width = Math.max(600, document.getElementById("content").clientWidth - 4), height = 168, left = 84, bottom = 26;
  const x = (p) => left + (p / phases) * (width - left - 16), y = (at) => height - bottom - (at / end) * (height - bottom - 16);
  const svg = shape("svg", { class: "memory", viewBox: `0 0 ${width} ${height}`, height });
  for (let part = 0; part <= 4; part++) {
    svg.append(shape("line", { class: "grid", x1: left, x2: width - 16, y1: y((end * part) / 4), y2: y((end * part) / 4) }),
      shape("text", { x: left - 8, y: y((end * part) / 4) + 4, "text-anchor": "end" }, bytes(Math.round((end * part) / 4))));
  }
  for (const b of found) {
    const w = x(b.last + 1) - x(b.born), h = Math.max(1.5, y(b.offset) - y(b.offset + b.size));
    const call = state.calls.find((c) => layerMatches(b.layer, c.layer));
    const rect = shape("rect", { class: "b", x: x(b.born), y: y(b.offset + b.size), width: w, height: h, rx: 3,
      style: `fill: ${call ? colour(call.kind) : "var(--faint)"}; stroke-width: ${h > 4 ? 1 : 0}`, onclick: () => state.on.buffer(b) });
    if (state.selection && isBuffer(state, b)) rect.classList.add("lit");
    rect.append(shape("title", {}, `%${b.name}: ${b.type}\n${bytes(b.size)} at ${bytes(b.offset)}, phases ${b.born} to ${b.last}\nlayer ${b.layer || "-"}, written by ${b.kernel}\n${b.why}`));
    svg.append(rect);
    if (h > 13 && w > 70) svg.append(shape("text", { class: "in", x: x(b.born) + 6, y: y(b.offset + b.size) + h / 2 + 4 }, clipped(`${b.layer || b.name} ${b.type}`, Math.floor(w / 6.4))));
  }
  const step = Math.ceil(phases / 24);
  for (let p = 0; p < phases; p += step) svg.append(shape("text", { x: (x(p) + x(p + 1)) / 2, y: height - 9, "text-anchor": "middle" }, `${p}`));
  svg.append(shape("text", { x: left - 8, y: height - 9, "text-anchor": "end" }, "phase"),
    shape("line", { class: "peak", x1: (x(peak) + x(peak + 1)) / 2, x2: (x(peak) + x(peak + 1)) / 2, y1: 12, y2: height - bottom }),
    shape("text", { x: (x(peak) + x(peak + 1)) / 2 + 5, y: 12 }, `peak ${bytes(live[peak])} live`));
  return element("div", {}, facts, svg);
}

function isBuffer(state, b) {
  const { selection, program } = state;
  if (selection.kind === "layer") return layerMatches(b.layer, selection.name);
  if (selection.kind === "kernel") return program.kernels[selection.kernel].name === b.kernel;
  return selection.origin === b.origin && PHASES[selection.phase] === b.part;
}

function selectionPanel(state) {
  const { selection, program } = state;
  if (!selection) return element("div", { class: "empty" }, "Click a layer, a line or a kernel: all that it came from and all that it became lights up in every column, down to its assembly. ", element("kbd", {}, "?"), " shows the keys.");
  const list = element("dl", { class: "about" });
  const add = (name, ...values) => list.append(element("dt", {}, name), element("dd", {}, ...values));
  const kernels = selection.kind === "kernel" ? [selection.kernel]
    : [...(selection.kind === "value" ? selection.kernels : kernelsOfLayer(program, selection.name))];
  if (selection.kind === "layer") {
    const calls = state.calls.filter((call) => layerMatches(selection.name, call.layer));
    for (const call of calls.slice(0, 1)) {
      add("layer", `${call.layer}, ${call.kind}${call.where ? `, called at ${call.where}` : ""}`);
      add("result", call.shape);
      add("parameters", `${call.parameters.toLocaleString()}${call.parameters && !call.trainable ? ", not trainable" : ""}`);
    }
    const counts = program.stages.filter((s) => !s.native).map((s) => [s, lighting(program, s, selection).reduce((n, v) => n + (v > 0), 0)]);
    add("lines", counts.map(([s, n]) => `${s.name} ${n}`).join(", "));
  } else if (selection.kind === "kernel") {
    const kernel = program.kernels[selection.kernel];
    add("kernel", `${kernel.name}, ${kernel.kind}, phase ${kernel.phase}, function ${kernel.function}`);
    add("computes", kernel.ops.join(" "));
    add("layers", ...kernel.layers.map((name) => link(name, () => state.on.layer(name))));
    add("operations", `${kernel.operations.toLocaleString()} in a step of ${program.rows} rows`);
    const measured = program.profile && program.profile[kernel.name];
    if (measured) add("measured", `${(1e6 * measured.seconds).toFixed(1)} µs`);
    for (const b of program.buffers.filter((item) => item.kernel === kernel.name)) add(`writes %${b.name}`, `${b.type}: ${b.why}`);
  } else {
    add("value", element("span", { class: "code" }, selection.text));
    if (selection.layer) add("layer", link(selection.layer, () => state.on.layer(selection.layer)), PHASES[selection.phase] || "");
    for (const b of program.buffers.filter((item) => isBuffer(state, item))) add("in memory", `%${b.name}, ${bytes(b.size)}, because: ${b.why}`);
    const gone = program.stages.filter((s) => !s.native && !lighting(program, s, selection).includes(2)).map((s) => s.name);
    if (gone.length) add("not in", gone.join(", "));
  }
  if (selection.kind !== "kernel") add("kernels", ...(kernels.length ? kernels.slice(0, 40).map((at) => link(program.kernels[at].name, () => state.on.kernel(at))) : ["none: simplified away, or no work at run time"]));
  return list;
}

const DRAW = { selection: selectionPanel, passes: passesPanel, kernels: kernelsPanel, memory: memoryPanel };
