"use strict";
// The page's data: unpacked, with the indexes that tie the stages together.

const PHASES = ["forward", "backward", "update"];
const NATIVE = new Set(["llvm", "llvm-opt", "asm"]);

async function unpack(base64) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).json();
}

// Adds to each stage its lines; to a program, which kernels each value of the source is in.
function index(program) {
  for (const stage of program.stages) {
    stage.native = NATIVE.has(stage.name);
    stage.lines = stage.text.split("\n");
    delete stage.text;
    stage.width = stage.lines.reduce((most, line) => Math.max(most, line.length), 0);
  }
  const fused = program.stages.find((stage) => stage.name === "memory");
  program.kernelsOf = new Map(); // origin:phase -> kernels
  program.originsIn = program.kernels.map(() => new Set());
  fused.lines.forEach((_, at) => {
    const kernel = fused.kernel[at];
    if (kernel < 0) return;
    const key = keyOf(fused, at);
    program.originsIn[kernel].add(key);
    if (!program.kernelsOf.has(key)) program.kernelsOf.set(key, new Set());
    program.kernelsOf.get(key).add(kernel);
  });
  program.kernelOf = new Map(); // function -> the first kernel that it works for
  program.kernels.forEach((kernel, at) => {
    for (const f of kernel.functions) if (!program.kernelOf.has(f)) program.kernelOf.set(f, at);
  });
}

const keyOf = (stage, at) => `${stage.origin[at]}:${stage.phase[at]}`;
const layerMatches = (name, wanted) => name === wanted || name.startsWith(`${wanted}/`);

// The name that a graph's line defines, or "".
function definedBy(line) {
  const match = /^\s*%("(?:[^"\\]|\\.)*"|[\w./'-]+) = /.exec(line);
  return match ? match[1] : "";
}

// The line that defines %name as line `at` reads it, or -1: the nearest above in the same graph.
function definition(stage, name, at) {
  const indent = /^ */.exec(stage.lines[at])[0];
  for (let line = at; line >= 0; line--) {
    const text = stage.lines[line];
    if (text.startsWith(indent) && text.slice(indent.length).startsWith(`%${name} = `)) return line;
    if (line < at && !text.startsWith(indent)) break;
  }
  return -1;
}

// What a selection lights in a stage: 0 nothing, 1 related, 2 the thing itself; by line.
function lighting(program, stage, selection) {
  const lit = new Uint8Array(stage.lines.length);
  if (!selection) return lit;
  if (selection.kind === "layer") {
    const wanted = program.layers.map((name) => layerMatches(name, selection.name));
    const kernels = kernelsOfLayer(program, selection.name);
    const functions = functionsOf(program, kernels);
    for (let at = 0; at < lit.length; at++) {
      if (stage.native) lit[at] = functions.has(stage.kernel[at]) ? 1 : 0;
      else lit[at] = stage.layer[at] >= 0 && wanted[stage.layer[at]] ? 1 : 0;
    }
    return lit;
  }
  const kernels = selection.kind === "kernel" ? new Set([selection.kernel]) : selection.kernels;
  const functions = functionsOf(program, kernels);
  for (let at = 0; at < lit.length; at++) {
    if (stage.native) {
      const own = selection.kind === "kernel" ? program.kernels[selection.kernel].functions[0] : -1;
      lit[at] = !functions.has(stage.kernel[at]) ? 0 : stage.kernel[at] === own ? 2 : 1;
    } else if (selection.kind === "kernel") {
      if (stage.kernel[at] >= 0) lit[at] = kernels.has(stage.kernel[at]) ? 2 : 0;
      else lit[at] = program.originsIn[selection.kernel].has(keyOf(stage, at)) ? 2 : 0;
    } else if (stage.origin[at] && stage.origin[at] === selection.origin) {
      lit[at] = stage.phase[at] === selection.phase ? 2 : 1;
    } else if (kernels.has(stage.kernel[at])) lit[at] = 1;
  }
  return lit;
}

function kernelsOfLayer(program, name) {
  const found = new Set();
  program.kernels.forEach((kernel, at) => {
    if (kernel.layers.some((layer) => layerMatches(layer, name))) found.add(at);
  });
  return found;
}

function functionsOf(program, kernels) {
  return new Set([...kernels].flatMap((at) => program.kernels[at].functions));
}

function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let at = 0;
  while (count >= 1024 && at < units.length - 1) [count, at] = [count / 1024, at + 1];
  return `${at ? count.toFixed(1) : count} ${units[at]}`;
}

function short(count) {
  for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (count >= size) return `${(count / size).toFixed(1)} ${unit}`;
  }
  return String(count);
}

const milliseconds = (seconds) => `${(1000 * seconds).toFixed(seconds < 0.01 ? 1 : 0)} ms`;

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== false && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

function shape(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}
