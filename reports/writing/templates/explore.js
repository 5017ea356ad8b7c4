"use strict";
// What the page knows, and the state that its controls hold.
const known = JSON.parse(document.getElementById("values").textContent);
const time = known.time, most = { paths: known.paths, depth: known.depth };
const at = (id) => document.getElementById(id);
const numbers = Uint8Array.from(atob(known.survival), (sign) => sign.charCodeAt(0));
const NOTHING = { paths: 1, trunk: 0, branch: 0 };

// ---- What is accepted: the library's numbers, read from the grid.

const tableSize = (verifier) => verifier.single ? most.depth
  : most.depth + (most.paths - 1) * most.depth * (most.depth + 1) / 2;
const pointSize = 1 + known.verifiers.reduce((sum, one) => sum + tableSize(one), 0);

function entry(index) {
  return (numbers[3 * index] * 65536 + numbers[3 * index + 1] * 256 + numbers[3 * index + 2]) / known.units;
}

function pointStart(state) {
  const rows = state.acceptance * known.partings.length + state.parting;
  return (rows * known.temperatures.length + state.temperature) * pointSize;
}

const inCommon = (state) => entry(pointStart(state));

// Delayed(K, L1, L2) as the library reads it: one path, or no branch, is a chain.
function treeOf(verifier, tree) {
  const chain = verifier.single || tree.paths === 1 || tree.branch === 0;
  return chain ? { paths: 1, trunk: 0, branch: tree.trunk + tree.branch } : tree;
}

// Pr(tau >= d) for d = 0 .. L1 + L2.
function survival(state, place, asked) {
  const tree = treeOf(known.verifiers[place], asked), found = [1];
  const start = pointStart(state) + 1 + known.verifiers.slice(0, place).reduce((sum, one) => sum + tableSize(one), 0);
  const below = start + most.depth + (tree.paths - 2) * most.depth * (most.depth + 1) / 2
    + tree.trunk * most.depth - tree.trunk * (tree.trunk - 1) / 2;
  for (let depth = 1; depth <= tree.trunk + tree.branch; depth += 1) {
    const inChain = tree.paths === 1 || depth <= tree.trunk;
    found.push(entry(inChain ? start + depth - 1 : below + depth - tree.trunk - 1));
  }
  return found;
}

// ---- What time it takes: the formula of the library's rooflines.

function targetPass(state, context, fed) {
  const machine = time.devices[state.device], network = time.networks[state.network], gpus = state.gpus;
  const read = network.read - network.experts * (1 - network.active) ** (state.batch * fed);
  const bytes = read * time.weight_bytes + state.batch * network.cache_entries * time.cache_bytes * (context + fed);
  const flops = (2 * network.product_weights + network.attention_flops * (context + fed)) * fed * state.batch;
  const slower = Math.max(bytes / (machine.bandwidth * gpus * time.bandwidth_share),
    flops / (machine.peak * gpus * time.peak_share));
  const moved = state.batch * fed * network.width * 2 * 2 * (gpus - 1) / gpus;
  const link = gpus === 1 ? 0 : 2 * network.layers * (time.all_reduce + moved / machine.link);
  return slower + network.layers * time.layer_overhead + time.pass_overhead + link;
}

// The tokens that each pass of the draft feeds, and the nodes of the target's pass, as planned.
function scheduleOf(tree) {
  const inner = [];
  for (let level = 0; level < tree.trunk + tree.branch; level += 1) inner.push(level <= tree.trunk ? 1 : tree.paths);
  return { draft: inner, nodes: 1 + tree.trunk + tree.paths * tree.branch };
}

function stepSeconds(state, tree) {
  const schedule = scheduleOf(tree), before = state.context - 1;
  let draft = 0, fed = 0;
  for (const fresh of schedule.draft) {
    draft += state.share * targetPass(state, before + fed, fresh);
    fed += fresh;
  }
  const machine = time.devices[state.device], network = time.networks[state.network];
  const perNode = state.batch * network.vocabulary_size * time.row_bytes
    / (machine.bandwidth * state.gpus * time.bandwidth_share);
  return draft + targetPass(state, before, schedule.nodes) + time.floor + perNode * schedule.nodes + time.overhead;
}

const plainSeconds = (state) => targetPass(state, state.context - 1, 1) + time.overhead;

function missingRoom(state) {
  const network = time.networks[state.network], memory = time.devices[state.device].memory * state.gpus;
  const needed = network.parameters * time.weight_bytes
    + state.batch * state.context * network.cache_entries * time.cache_bytes;
  return needed > memory ? `${state.network} with ${state.batch} × ${state.context} cached tokens needs `
    + `${(needed / 2 ** 30).toFixed(1)} GiB, but ${state.gpus} × ${state.device} has ${(memory / 2 ** 30).toFixed(0)}` : "";
}

// All that is said of a verifier with a tree.
function answer(state, place, asked) {
  const tree = treeOf(known.verifiers[place], asked), reach = survival(state, place, tree);
  const tokens = reach.reduce((sum, one) => sum + one, 0);
  const speed = tokens / stepSeconds(state, tree);
  return { place, tree, reach, tokens, speed, gain: speed * plainSeconds(state) };
}

function allTrees() {
  const found = [];
  for (let length = 1; length <= most.depth; length += 1) found.push({ paths: 1, trunk: 0, branch: length });
  for (let paths = 2; paths <= most.paths; paths += 1)
    for (let trunk = 0; trunk < most.depth; trunk += 1)
      for (let branch = 1; branch <= most.depth - trunk; branch += 1) found.push({ paths, trunk, branch });
  return found;
}

// The fastest tree of every verifier, best first.
function fastest(state) {
  const trees = allTrees();
  const best = known.verifiers.map((verifier, place) => trees
    .filter((tree) => tree.paths === 1 || !verifier.single)
    .map((tree) => answer(state, place, tree))
    .reduce((one, other) => (other.speed > one.speed ? other : one)));
  return best.sort((one, other) => other.speed - one.speed);
}
