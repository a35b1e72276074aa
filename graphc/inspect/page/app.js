"use strict";
// The page's state, and what the user does with it.

const byId = (id) => document.getElementById(id);
const FIRST_SHOWN = ["traced", "simplify", "memory", "asm"];
const KEYS = [["/", "search; Enter goes to the next match"], ["Esc", "select nothing"], ["j k", "next and previous line"],
  ["1 … 9 a b", "show or hide a stage"], ["[ ]", "previous and next program"], ["s p m", "selection, passes, memory"],
  ["w", "kernels by work or time"], ["0", "whole model"], ["e", "open or close the selected layer"], ["t", "light or dark"], ["?", "this"]];

const state = { program: null, selection: null, shown: new Set(FIRST_SHOWN), panel: "selection", pass: "",
  chosen: null, found: new Map(), columns: [], calls: [], on: {} };
let data, graph;

function setProgram(at) {
  state.program = data.programs[at];
  if (!state.program.kernelsOf) index(state.program);
  Object.assign(state, { selection: null, chosen: null, found: new Map(), number: at });
  for (const [i, button] of [...byId("programs").children].entries()) button.setAttribute("aria-pressed", i === at);
  const p = state.program, traced = p.stages[0];
  byId("facts").textContent = `${data.model.parameters.toLocaleString()} parameters · ${traced.nodes.toLocaleString()} nodes traced · ${p.kernels.length} kernels · ${p.target} · compiled in ${milliseconds(p.seconds)}`;
  const own = new Set(data.calls.map((call) => call.layer));
  byId("others").replaceChildren(...p.layers.filter((name) => ![...own].some((o) => layerMatches(name, o))).map((name) => {
    const chip = element("button", { class: "chip", onclick: () => select({ kind: "layer", name }) }, name);
    chip.dataset.layer = name;
    return chip;
  }));
  graph.show(traced);
  drawStages();
  select(null);
}

function drawStages() {
  const { stages } = state.program, buttons = [];
  stages.forEach((stage, at) => {
    if (at) buttons.push(element("span", { class: "arrow" }, "›"));
    buttons.push(element("button", { "aria-pressed": state.shown.has(stage.name), title: `Show or hide (${stageKey(at)})`,
      onclick: () => toggleStage(stage) }, stage.name));
  });
  byId("stages").replaceChildren(...buttons);
  const on = { choose: chooseLine, hide: toggleStage };
  state.columns = stages.map((stage, at) => [stage, at]).filter(([stage]) => state.shown.has(stage.name))
    .map(([stage, at]) => new Column(stage, stageKey(at), on));
  byId("columns").replaceChildren(...state.columns.map((column) => column.root));
  light(true);
}

const stageKey = (at) => (at < 9 ? String(at + 1) : String.fromCharCode(97 + at - 9));

function toggleStage(stage) {
  if (state.shown.has(stage.name)) state.shown.delete(stage.name);
  else state.shown.add(stage.name);
  drawStages();
}

function chooseLine(stage, at) {
  const { program } = state, origin = stage.origin[at];
  const kernel = stage.native ? program.kernelOf.get(stage.kernel[at]) ?? -1 : stage.kernel[at];
  const header = !stage.native && /= fused\(|^\s*return |^\s*\}/.test(stage.lines[at]);
  if ((stage.native || header) && kernel >= 0) select({ kind: "kernel", kernel }, { stage, at });
  else if (!stage.native && origin) {
    const layer = stage.layer[at] < 0 ? "" : program.layers[stage.layer[at]];
    const kernels = program.kernelsOf.get(keyOf(stage, at)) || new Set();
    select({ kind: "value", origin, phase: stage.phase[at], layer, kernels, text: stage.lines[at].trim() }, { stage, at });
  } else select(null);
}

function select(selection, chosen = null) {
  Object.assign(state, { selection, chosen });
  light(true);
  drawPanel();
  byId("clear").hidden = !selection;
  byId("selected").replaceChildren(...title(selection));
  history.replaceState(null, "", address() || location.pathname + location.search);
}

function title(selection) {
  if (!selection) return [];
  if (selection.kind === "layer") return ["layer ", element("b", {}, selection.name)];
  if (selection.kind === "kernel") return ["kernel ", element("b", {}, state.program.kernels[selection.kernel].name)];
  return ["value ", element("b", {}, clipped(selection.text.split(" = ")[0], 40))];
}

function light(scroll) {
  const { program, selection, chosen } = state;
  for (const column of state.columns) {
    const here = chosen && chosen.stage === column.stage ? chosen.at : -1;
    column.light(lighting(program, column.stage, selection), state.found.get(column.stage) || new Set(), here, scroll);
  }
  const names = !selection ? [] : selection.kind === "layer" ? [selection.name]
    : selection.kind === "kernel" ? program.kernels[selection.kernel].layers : [selection.layer];
  graph.light(names, chosen && chosen.stage === program.stages[0] ? chosen.at : -1);
  for (const chip of byId("others").children) chip.classList.toggle("lit", names.some((n) => layerMatches(n, chip.dataset.layer)));
}

function drawPanel() {
  for (const button of byId("tabs").children) button.setAttribute("aria-pressed", button.dataset.panel === state.panel);
  byId("content").replaceChildren(DRAW[state.panel](state));
}

function showPanel(name) {
  state.panel = name;
  drawPanel();
}

// Deep links: #program/layer/NAME, #program/kernel/NAME, #program/value/STAGE/NAME.
function address() {
  const { selection, chosen, program } = state;
  const start = `#${encodeURIComponent(program.kind)}`;
  if (!selection) return state.number ? start : "";
  if (selection.kind === "layer") return `${start}/layer/${encodeURIComponent(selection.name)}`;
  if (selection.kind === "kernel") return `${start}/kernel/${encodeURIComponent(program.kernels[selection.kernel].name)}`;
  return chosen ? `${start}/value/${chosen.stage.name}/${encodeURIComponent(definedBy(chosen.stage.lines[chosen.at]))}` : start;
}

function follow(hash) {
  const [kind, what, ...rest] = hash.slice(1).split("/").map(decodeURIComponent);
  const at = Math.max(0, data.programs.findIndex((p) => p.kind === kind));
  if (state.number !== at) setProgram(at);
  const { program } = state;
  if (what === "layer") select({ kind: "layer", name: rest.join("/") });
  if (what === "kernel") {
    const kernel = program.kernels.findIndex((k) => k.name === rest.join("/"));
    if (kernel >= 0) select({ kind: "kernel", kernel });
  }
  const stage = what === "value" && program.stages.find((s) => s.name === rest[0]);
  if (stage) {
    const name = rest.slice(1).join("/"), line = stage.lines.findIndex((text) => definedBy(text) === name);
    if (line >= 0) {
      if (!state.shown.has(stage.name)) toggleStage(stage);
      chooseLine(stage, line);
    }
  }
}

// Search: what is found is marked in every column; the list takes one there.
function search(text) {
  const wanted = text.trim().toLowerCase(), { program } = state, list = [];
  state.found = new Map();
  if (wanted) {
    for (const name of new Set([...data.calls.map((c) => c.layer), ...program.layers])) {
      if (name.toLowerCase().includes(wanted)) list.push([name, "layer", () => select({ kind: "layer", name })]);
    }
    program.kernels.forEach((kernel, at) => {
      if (kernel.name.toLowerCase().includes(wanted)) list.push([kernel.name, `kernel · ${kernel.layers[0] || ""}`, () => select({ kind: "kernel", kernel: at })]);
    });
    for (const stage of program.stages) {
      const found = new Set();
      stage.lower ??= stage.lines.map((line) => line.toLowerCase());
      stage.lower.forEach((line, at) => line.includes(wanted) && found.add(at));
      state.found.set(stage, found);
      if (state.shown.has(stage.name)) for (const at of [...found].slice(0, 40)) list.push([stage.lines[at].trim(), stage.name, () => go(stage, at)]);
    }
  }
  state.results = { list, at: -1 };
  byId("results").hidden = !wanted;
  byId("results").replaceChildren(...(list.length ? list.slice(0, 120).map(([name, kind, act], at) => element("div", {
    onmousedown: (event) => { event.preventDefault(); step(at); } }, element("b", {}, name), element("i", {}, kind)))
    : [element("div", {}, element("i", {}, "nothing found"))]));
  light(false);
}

function go(stage, at) {
  chooseLine(stage, at);
  const column = state.columns.find((c) => c.stage === stage);
  if (column) column.reveal(at);
}

function step(at) {
  const { list } = state.results || { list: [] };
  if (!list.length) return;
  state.results.at = (at + list.length) % list.length;
  list[state.results.at][2]();
  [...byId("results").children].forEach((row, i) => row.classList.toggle("now", i === state.results.at));
  byId("results").children[state.results.at]?.scrollIntoView({ block: "nearest" });
}

function moveLine(by) {
  const stage = state.chosen ? state.chosen.stage : state.columns[0] && state.columns[0].stage;
  if (!stage) return;
  let at = state.chosen ? state.chosen.at + by : 0;
  while (at > 0 && at < stage.lines.length && !stage.origin[at] && stage.kernel[at] < 0) at += by;
  if (at >= 0 && at < stage.lines.length) go(stage, at);
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  try { localStorage.setItem("graphc-theme", theme); } catch { /* a page from a file may have no storage */ }
  if (graph) light(false);
}

function savedTheme() {
  try { return localStorage.getItem("graphc-theme"); } catch { return null; }
}

const other = () => (document.documentElement.dataset.theme === "dark" ? "light" : "dark");

function openCall() {
  const names = state.selection && state.selection.kind === "layer" ? [state.selection.name] : [];
  data.calls.forEach((call, at) => names.includes(call.layer) && graph.toggle(at));
}

const ACTIONS = { "/": () => byId("search").focus(), Escape: () => { byId("search").value = ""; search(""); select(null); },
  j: () => moveLine(1), k: () => moveLine(-1), t: () => setTheme(other()), "?": () => byId("keys").showModal(),
  "[": () => setProgram((state.number + data.programs.length - 1) % data.programs.length),
  "]": () => setProgram((state.number + 1) % data.programs.length),
  s: () => showPanel("selection"), p: () => showPanel("passes"), m: () => showPanel("memory"), w: () => showPanel("kernels"),
  0: () => { graph.moved = false; graph.fit(); }, e: openCall };

function listen() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
    if (event.target === byId("search")) return;
    const at = state.program.stages.findIndex((_, i) => stageKey(i) === event.key);
    const action = ACTIONS[event.key] || (at >= 0 ? () => toggleStage(state.program.stages[at]) : null);
    if (!action) return;
    event.preventDefault();
    action();
  });
  const box = byId("search");
  box.addEventListener("input", () => search(box.value));
  box.addEventListener("focus", () => box.value && (byId("results").hidden = false));
  box.addEventListener("blur", () => (byId("results").hidden = true));
  box.addEventListener("keydown", (event) => {
    const at = state.results ? state.results.at : -1;
    if (event.key === "Enter" || event.key === "ArrowDown") step(event.shiftKey ? at - 1 : at + 1);
    else if (event.key === "ArrowUp") step(at - 1);
    else if (event.key === "Escape") { box.value = ""; search(""); box.blur(); } else return;
    event.preventDefault();
  });
  byId("theme").onclick = () => setTheme(other());
  byId("help").onclick = () => byId("keys").showModal();
  byId("clear").onclick = () => select(null);
  byId("zoom-in").onclick = () => graph.zoom(1.25);
  byId("zoom-out").onclick = () => graph.zoom(0.8);
  byId("zoom-fit").onclick = ACTIONS[0];
  window.addEventListener("hashchange", () => follow(location.hash));
  window.addEventListener("resize", drawPanel);
  drag(byId("split-model"), (event) => (byId("model").style.width = `${Math.max(180, event.clientX)}px`));
  drag(byId("split-panel"), (event) => (byId("panel").style.height = `${Math.max(80, innerHeight - event.clientY)}px`));
  byId("keys").append(element("h2", {}, "Keys"), ...KEYS.map(([key, text]) => element("p", {}, element("kbd", {}, key), text)));
  byId("keys").addEventListener("click", () => byId("keys").close());
}

function drag(handle, move) {
  handle.addEventListener("pointerdown", (event) => {
    handle.setPointerCapture(event.pointerId);
    handle.onpointermove = move;
  });
  handle.addEventListener("pointerup", () => { handle.onpointermove = null; });
}

async function start() {
  setTheme(savedTheme() || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
  data = await unpack(byId("data").textContent);
  state.calls = data.calls;
  state.on = { layer: (name) => select({ kind: "layer", name }), kernel: (kernel) => select({ kind: "kernel", kernel }),
    pass: (stage) => { state.pass = stage.name; drawPanel(); },
    buffer: (b) => {
      const stage = state.program.stages.find((s) => s.name === "memory");
      chooseLine(stage, stage.lines.findIndex((line) => definedBy(line) === b.name));
    } };
  byId("model-name").textContent = data.model.name;
  byId("programs").replaceChildren(...data.programs.map((p, at) => element("button", { onclick: () => setProgram(at) }, p.kind)));
  byId("tabs").replaceChildren(...Object.entries(PANELS).map(([name, text]) => {
    const button = element("button", { onclick: () => showPanel(name) }, text);
    button.dataset.panel = name;
    return button;
  }));
  graph = new LayerGraph(data.calls, { layer: (name) => select({ kind: "layer", name }), value: chooseLine,
    layers: () => state.program.layers, changed: () => light(false) });
  listen();
  const { hash } = location; // setting a program clears it
  setProgram(0);
  byId("model").style.width = `${Math.min(innerWidth * 0.3, Math.max(290, graph.size.width * 0.62))}px`;
  follow(hash);
  document.body.dataset.ready = "yes";
}

start();
