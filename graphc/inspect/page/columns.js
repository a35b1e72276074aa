"use strict";
// A stage as a column: only the lines in sight are in the document.

const LINE = 18;
const GRAPH_TOKEN = new RegExp(
  [
    /(?<c>\/\/.*$)/,
    /(?<s>"(?:[^"\\]|\\.)*")/,
    /(?<v>%(?:"(?:[^"\\]|\\.)*"|[\w./'-]+))/,
    /(?<f>@[^\s:]*:(?:forward|backward|update))/,
    /(?<t>\b(?:f32|f64|i8|i16|i32|i64|u8|u16|u32|bool)\[[^\]]*\])/,
    /(?<o>\b[a-z_0-9]+(?=\()|\b(?:graph|return)\b)/,
    /(?<n>-?\b\d+(?:\.\d+)?(?:e[+-]?\d+)?\b)/,
  ].map((part) => part.source).join("|"),
  "g",
);
const NATIVE_TOKEN =
  /(?<c>[;#].*$)|(?<s>"(?:[^"\\]|\\.)*")|(?<v>[%@][\w.$-]+|%[a-z]\w+)|(?<o>^\s+(?:[%@][\w.$"-]+ = )?[a-z]\w*(?:\.\w+)*|\bdefine\b|\bdeclare\b)|(?<n>\$?-?\b\d[\w.+]*\b)/g;

class Column {
  constructor(stage, number, on) {
    Object.assign(this, { stage, on, lit: null, found: new Set(), chosen: -1 });
    this.count = element("span");
    this.sizer = element("div", { class: "sizer" });
    this.lines = element("div", { class: "lines", tabindex: 0, "aria-label": stage.name }, this.sizer);
    this.ruler = element("canvas", { class: "ruler" });
    const nodes = stage.nodes === null ? `${stage.lines.length.toLocaleString()} lines`
      : `${stage.nodes.toLocaleString()} nodes`;
    this.root = element("div", { class: "column", "data-stage": stage.name },
      element("div", { class: "head" }, element("b", {}, stage.name),
        element("span", {}, stage.seconds ? `${nodes} · ${milliseconds(stage.seconds)}` : nodes), this.count,
        element("button", { title: `Hide (${number})`, onclick: () => on.hide(stage) }, "✕")),
      this.lines, this.ruler);
    this.sizer.style.height = `${stage.lines.length * LINE + 6}px`;
    this.sizer.style.width = `${stage.width * 7.3 + 30}px`;
    this.lines.addEventListener("scroll", () => this.draw());
    this.sizer.addEventListener("click", (event) => this.click(event));
    this.ruler.addEventListener("click", (event) => {
      const part = event.offsetY / this.ruler.clientHeight;
      this.lines.scrollTop = part * stage.lines.length * LINE - this.lines.clientHeight / 2;
    });
    new ResizeObserver(() => { this.draw(); this.drawRuler(); }).observe(this.lines);
  }

  click(event) {
    const row = event.target.closest(".l");
    if (!row) return;
    const at = Number(row.dataset.at);
    const name = event.target.classList.contains("v") ? event.target.textContent.slice(1) : "";
    const target = name && !this.stage.native ? definition(this.stage, name, at) : at;
    this.on.choose(this.stage, target < 0 ? at : target);
  }

  // Shows what is lit, and scrolls to the first line of the selection itself.
  light(lit, found, chosen, scroll) {
    Object.assign(this, { lit, found, chosen });
    let first = lit.indexOf(2);
    if (first < 0) first = lit.indexOf(1);
    if (chosen >= 0) first = chosen;
    const count = lit.reduce((sum, value) => sum + (value > 0), 0);
    this.count.textContent = count ? count.toLocaleString() : "";
    this.count.className = count ? "lit" : "";
    this.root.classList.toggle("dim", count > 0 || found.size > 0);
    if (scroll && first >= 0) this.reveal(first);
    this.draw();
    this.drawRuler();
  }

  reveal(at) {
    const top = at * LINE, height = this.lines.clientHeight;
    if (top < this.lines.scrollTop + LINE || top > this.lines.scrollTop + height - 3 * LINE) {
      this.lines.scrollTop = top - height / 3;
    }
    this.lines.scrollLeft = 0;
  }

  draw() {
    const first = Math.max(0, Math.floor(this.lines.scrollTop / LINE) - 4);
    const last = Math.min(this.stage.lines.length, first + Math.ceil(this.lines.clientHeight / LINE) + 10);
    const rows = [];
    for (let at = first; at < last; at++) rows.push(this.row(at));
    this.sizer.replaceChildren(...rows);
  }

  row(at) {
    const { stage, lit } = this;
    const classes = ["l"];
    if (stage.phase[at] >= 0) classes.push(`p${stage.phase[at]}`);
    if (this.found.has(at)) classes.push("found");
    if (lit && lit[at]) classes.push(lit[at] === 2 ? "strong" : "soft");
    if (at === this.chosen) classes.push("chosen");
    const row = element("div", { class: classes.join(" "), "data-at": at });
    row.style.top = `${at * LINE + 3}px`;
    row.append(...tokens(stage.lines[at], stage.native));
    return row;
  }

  drawRuler() {
    const { ruler, lit, stage } = this;
    const height = ruler.clientHeight || 1;
    ruler.width = 8;
    ruler.height = height;
    const pen = ruler.getContext("2d"), style = getComputedStyle(document.documentElement);
    const marks = new Map(); // row of pixels -> colour; what is drawn last wins
    const mark = (at, name) => marks.set(Math.floor((at / stage.lines.length) * height), name);
    for (const at of this.found) mark(at, "--accent");
    if (lit) {
      const soft = ["--forward", "--backward", "--update"];
      lit.forEach((value, at) => value === 1 && mark(at, soft[stage.phase[at]] || "--faint"));
      lit.forEach((value, at) => value === 2 && mark(at, "--strong-edge"));
    }
    for (const [y, name] of marks) {
      pen.fillStyle = style.getPropertyValue(name);
      pen.fillRect(0, y, 8, 2);
    }
  }
}

function tokens(line, native) {
  const parts = [];
  let end = 0;
  for (const match of line.matchAll(native ? NATIVE_TOKEN : GRAPH_TOKEN)) {
    const [kind, text] = Object.entries(match.groups).find(([, value]) => value !== undefined);
    if (match.index > end) parts.push(line.slice(end, match.index));
    const phase = kind === "f" ? PHASES.indexOf(text.slice(text.lastIndexOf(":") + 1)) : "";
    parts.push(element("span", { class: `${kind}${phase}` }, text));
    end = match.index + match[0].length;
  }
  parts.push(line.slice(end));
  return parts;
}
