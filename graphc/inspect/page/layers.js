"use strict";
// The model as a graph of layer calls, laid out by dagre; a call opens to the nodes that it traced.

const BOX = { width: 190, height: 52 };
const MOST_INNER = 300; // nodes that a call shows when it is open

class LayerGraph {
  constructor(calls, on) {
    Object.assign(this, { calls, on, open: new Set(), traced: null, moved: false });
    this.svg = document.getElementById("graph");
    this.view = document.getElementById("view");
    this.at = { x: 0, y: 0, scale: 1 };
    this.listen();
  }

  // The stage that open calls show.
  show(traced) {
    this.traced = traced;
    this.layout();
  }

  layout() {
    const graph = new dagre.graphlib.Graph();
    graph.setGraph({ rankdir: "TB", nodesep: 26, ranksep: 34, marginx: 14, marginy: 14 });
    this.inner = new Map();
    this.calls.forEach((call, at) => {
      if (this.open.has(at)) this.inner.set(at, this.innerLayout(call));
      const size = this.inner.get(at);
      graph.setNode(at, size ? { width: size.width, height: size.height } : { ...BOX });
    });
    this.calls.forEach((call, at) => {
      for (const [from, text] of call.inputs) {
        graph.setEdge(from, at, { text, width: text.length * 6.2, height: 12, labelpos: "r" });
      }
    });
    dagre.layout(graph);
    this.size = graph.graph();
    const edges = graph.edges().map((edge) => this.edge(graph.edge(edge)));
    const boxes = this.calls.map((call, at) => this.box(call, at, graph.node(at)));
    this.view.replaceChildren(...edges.flat(), ...boxes);
    this.boxes = boxes;
    if (!this.moved) this.fit();
  }

  // The nodes of a call in the traced program, laid out by themselves.
  innerLayout(call) {
    const stage = this.traced, lines = new Map();
    const wanted = this.on.layers().map((name) => layerMatches(name, call.layer));
    for (let at = 0; at < stage.lines.length && lines.size < MOST_INNER; at++) {
      const name = definedBy(stage.lines[at]);
      const own = stage.layer[at] >= 0 && wanted[stage.layer[at]] && stage.phase[at] === 0;
      if (own && name && /^ {2}%/.test(stage.lines[at])) lines.set(name, at);
    }
    const graph = new dagre.graphlib.Graph();
    graph.setGraph({ rankdir: "TB", nodesep: 14, ranksep: 16, marginx: 12, marginy: 12 });
    graph.setDefaultEdgeLabel(() => ({}));
    for (const [name, at] of lines) {
      const text = stage.lines[at], op = / = (\w+)\(/.exec(text)[1];
      const type = /: ([a-z]+\d*\[[^\]]*\])/.exec(text);
      graph.setNode(name, { at, op, type: type ? type[1] : "", width: Math.max(96, (type ? type[1].length : 0) * 6.7 + 18), height: 34 });
    }
    for (const [name, at] of lines) {
      const operands = / = \w+\(([^)]*)\)/.exec(stage.lines[at])[1];
      for (const operand of operands.split(", ")) {
        if (lines.has(operand.slice(1))) graph.setEdge(operand.slice(1), name);
      }
    }
    dagre.layout(graph);
    const size = graph.graph(), some = lines.size > 0;
    return { graph, width: Math.max(BOX.width, some ? size.width : 0), height: BOX.height + (some ? size.height : 0) };
  }

  edge(edge) {
    const path = edge.points.map((p, i) => {
      if (i === 0) return `M${p.x},${p.y}`;
      const before = edge.points[i - 1], middle = (before.y + p.y) / 2;
      return `C${before.x},${middle} ${p.x},${middle} ${p.x},${p.y}`;
    }).join("");
    const parts = [shape("path", { class: "edge", d: path, "marker-end": "url(#tip)" })];
    if (edge.text && edge.x) {
      parts.push(shape("text", { class: "edge-text", x: edge.x - edge.width / 2 + 4, y: edge.y + 4 }, edge.text));
    }
    return parts;
  }

  box(call, at, place) {
    const { width, height } = place, inner = this.inner.get(at);
    const group = shape("g", {
      class: "node", transform: `translate(${place.x - width / 2},${place.y - height / 2})`,
      onclick: () => this.moving || this.on.layer(call.layer, at),
      ondblclick: () => this.toggle(at),
    });
    group.dataset.layer = call.layer;
    const parameters = call.parameters ? `${short(call.parameters)} params` : "";
    const toggle = shape("text", { class: "plus", x: width - 18, y: 19, onclick: (event) => {
      event.stopPropagation();
      this.toggle(at);
    } }, inner ? "−" : "+");
    toggle.append(shape("title", {}, inner ? "Close" : "Show the nodes inside"));
    group.append(
      shape("rect", { class: "box", width, height }),
      shape("rect", { class: "stripe", width: 4, height: height - 16, y: 8, x: 0, style: `fill: ${colour(call.kind)}; rx: 2` }),
      shape("text", { x: 14, y: 21, "font-weight": 600 }, clipped(call.layer, 22)),
      shape("text", { class: "kind", x: 14, y: 39 }, clipped(`${call.kind}${parameters ? ` · ${parameters}` : ""}`, 27)),
      toggle,
      shape("title", {}, `${call.layer} (${call.kind})\n${call.shape}\n${call.parameters.toLocaleString()} parameters${call.where ? `\n${call.where}` : ""}`),
    );
    if (inner) group.append(this.innerGraph(inner, width));
    return group;
  }

  innerGraph({ graph }, width) {
    const left = (width - (graph.graph().width || 0)) / 2;
    const group = shape("g", { transform: `translate(${left},${BOX.height - 4})` });
    for (const edge of graph.edges()) group.append(...this.edge(graph.edge(edge)));
    for (const name of graph.nodes()) {
      const node = graph.node(name);
      const box = shape("g", {
        class: "node ir", transform: `translate(${node.x - node.width / 2},${node.y - node.height / 2})`,
        onclick: (event) => { event.stopPropagation(); this.on.value(this.traced, node.at); },
      }, shape("rect", { class: "box", width: node.width, height: node.height }),
      shape("text", { x: 8, y: 14 }, node.op), shape("text", { class: "shape", x: 8, y: 28 }, node.type));
      box.dataset.at = node.at;
      group.append(box);
    }
    return group;
  }

  toggle(at) {
    if (this.open.has(at)) this.open.delete(at);
    else this.open.add(at);
    this.layout();
    this.on.changed();
    this.reveal(this.boxes[at]);
  }

  // Marks the calls of some layers and, where one is open, the chosen node in it.
  light(names, at) {
    let first = null;
    for (const box of this.boxes) {
      const lit = names.some((name) => layerMatches(name, box.dataset.layer));
      box.classList.toggle("lit", lit);
      if (lit && !first) first = box;
      for (const inner of box.querySelectorAll(".ir")) {
        inner.classList.toggle("lit", Number(inner.dataset.at) === at);
      }
    }
    if (first) this.reveal(first);
  }

  reveal(box) {
    const here = this.svg.getBoundingClientRect(), there = box.getBoundingClientRect();
    const inside = there.top >= here.top && there.bottom <= here.bottom && there.left >= here.left && there.right <= here.right;
    if (inside || !there.width) return;
    this.at.x += here.left + here.width / 2 - (there.left + there.width / 2);
    this.at.y += here.top + here.height / 2 - (there.top + there.height / 2);
    this.move();
  }

  fit() {
    const { clientWidth, clientHeight } = this.svg;
    const scale = Math.min(1, clientWidth / this.size.width, clientHeight / this.size.height);
    // A large model starts readable, at its top, rather than whole.
    const readable = Math.max(scale, Math.min(0.62, Math.max(0.42, clientWidth / this.size.width)));
    this.at = { scale: readable, x: (clientWidth - this.size.width * readable) / 2,
      y: scale < readable ? 8 : (clientHeight - this.size.height * readable) / 2 };
    this.move();
  }

  zoom(factor, x = this.svg.clientWidth / 2, y = this.svg.clientHeight / 2) {
    const scale = Math.min(3, Math.max(0.05, this.at.scale * factor)), ratio = scale / this.at.scale;
    this.at = { scale, x: x - (x - this.at.x) * ratio, y: y - (y - this.at.y) * ratio };
    this.moved = true;
    this.move();
  }

  move() {
    const { x, y, scale } = this.at;
    this.view.setAttribute("transform", `translate(${x},${y}) scale(${scale})`);
  }

  listen() {
    const { svg } = this;
    svg.prepend(shape("defs", {}, shape("marker", { id: "tip", viewBox: "0 0 8 8", refX: 7, refY: 4,
      markerWidth: 7, markerHeight: 7, orient: "auto" }, shape("path", { d: "M0,0L8,4L0,8z", fill: "var(--faint)" }))));
    let from = null;
    svg.addEventListener("pointerdown", (event) => { from = { x: event.clientX, y: event.clientY, ...this.at, startX: this.at.x, startY: this.at.y }; this.moving = false; });
    window.addEventListener("pointermove", (event) => {
      if (!from) return;
      const [dx, dy] = [event.clientX - from.x, event.clientY - from.y];
      if (!this.moving && Math.hypot(dx, dy) < 4) return;
      this.moving = this.moved = true;
      svg.classList.add("moving");
      this.at = { ...this.at, x: from.startX + dx, y: from.startY + dy };
      this.move();
    });
    window.addEventListener("pointerup", () => { from = null; svg.classList.remove("moving"); });
    svg.addEventListener("wheel", (event) => {
      event.preventDefault();
      const here = svg.getBoundingClientRect();
      this.zoom(Math.exp(-event.deltaY / 500), event.clientX - here.left, event.clientY - here.top);
    }, { passive: false });
    new ResizeObserver(() => this.size && !this.moved && this.fit()).observe(svg);
  }
}

const clipped = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

// One hue a kind of layer, the same in every page.
function colour(kind) {
  let hash = 0;
  for (const letter of kind) hash = (hash * 31 + letter.charCodeAt(0)) % 360;
  return `hsl(${hash} 55% 55%)`;
}
