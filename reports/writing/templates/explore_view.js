"use strict";
// Reading the controls, and drawing what the formulas say.
const SLIDERS = ["acceptance", "parting", "temperature", "share", "paths", "trunk", "branch", "batch"];
const SHOWN_AS = {
  acceptance: (value) => known.acceptances[value].toFixed(2),
  parting: (value) => `+${known.partings[value]}`,
  temperature: (value) => `${known.temperatures[value]}`,
  share: (value) => `${value} %`,
  batch: (value) => `${2 ** value}`,
};
let chosen = -1;  // the place of the verifier whose tree is drawn; at first the fastest

function stateOf() {
  const value = (id) => Number(at(id).value);
  return {
    acceptance: value("acceptance"), parting: value("parting"), temperature: value("temperature"),
    share: value("share") / 100, batch: 2 ** value("batch"), context: value("context"),
    device: at("device").value, gpus: value("gpus"), network: at("network").value,
  };
}

const askedTree = () => ({ paths: Number(at("paths").value), trunk: Number(at("trunk").value), branch: Number(at("branch").value) });
const called = (tree) => tree.paths > 1 ? `Delayed(${tree.paths}, ${tree.trunk}, ${tree.branch})`
  : tree.branch ? `Chain(${tree.branch})` : "plain decoding";
const per = (value) => value >= 100 ? value.toFixed(0) : value.toFixed(1);
const share = (value) => `${(100 * value).toFixed(1)} %`;

// A row of cells; the last sticks to words, the others are numbers.
function cells(parts) {
  return parts.map(([kind, text]) => `<td class="${kind}">${text}</td>`).join("");
}

function bar(value, whole) {
  return `<span class="bar"><i style="width:${(100 * value / whole).toFixed(2)}%"></i></span>`;
}

// The best of the page may be worse than what lies beyond it.
function atTheEdge(tree) {
  const edge = tree.trunk + tree.branch === most.depth || tree.paths === most.paths;
  return edge ? "; it is as wide or deep as this page goes, a larger tree may be better" : "";
}

function drawFacts(state, now, best) {
  const room = missingRoom(state);
  at("room").textContent = room;
  at("room").hidden = !room;
  const here = known.verifiers[now.place].name, top = best[0], pays = top.gain > 1;
  const speed = room ? "–" : `${per(now.speed)} tokens/s`;
  const all = state.batch > 1 ? `, ${(now.speed * state.batch).toFixed(0)} in all` : "";
  at("fact-tokens").innerHTML = `<b>${now.tokens.toFixed(4)}</b><span>tokens per target pass, E[τ + 1], of ${here} on ${called(now.tree)}</span>`;
  at("fact-speed").innerHTML = `<b>${speed}</b><span>${room ? "it does not fit" : `for each request${all}; ${now.gain.toFixed(2)} × plain decoding`}</span>`;
  at("fact-best").innerHTML = `<b>${pays ? called(top.tree) : "plain decoding"}</b><span>${pays
    ? `with ${known.verifiers[top.place].name} is the best: ${per(top.speed)} tokens/s, ${top.gain.toFixed(2)} × plain decoding${atTheEdge(top.tree)}`
    : `is the best: no draft here beats it; ${called(top.tree)} gives ${top.gain.toFixed(2)} of it`}</span>`;
  at("fact-death").innerHTML = deathOf(now);
}

// Where drafts die: the median depth, and the likeliest.
function deathOf(now) {
  const last = now.reach.length - 1;
  if (!last) return "<b>–</b><span>nothing is drafted</span>";
  const half = now.reach.findIndex((one) => one < 0.5);
  const stops = now.reach.slice(0, last).map((one, depth) => one - now.reach[depth + 1]);
  const worst = stops.indexOf(Math.max(...stops)) + 1;
  const head = half < 0 ? "half survive" : `depth ${half}`;
  const told = half < 0 ? "to the end of the tree" : "is where half of all drafts are dead";
  return `<b>${head}</b><span>${told}; most die at depth ${worst} (${share(stops[worst - 1])}), ${share(now.reach[last])} never</span>`;
}

function drawTree(now) {
  const tree = now.tree, across = 58, down = 54, radius = 13, left = 150;
  const middle = left + across * (tree.paths - 1) / 2, parts = [];
  const place = (depth, path) => [depth <= tree.trunk && tree.paths > 1 ? middle : left + across * path, 24 + down * depth];
  const levels = tree.trunk + tree.branch;
  for (let depth = 1; depth <= levels; depth += 1)
    for (let path = 0; path < (depth <= tree.trunk ? 1 : tree.paths); path += 1) {
      const [x, y] = place(depth, path), [up, over] = place(depth - 1, path);
      parts.push(`<line x1="${depth === 1 ? middle : up}" y1="${over + radius}" x2="${x}" y2="${y - radius}"/>`);
    }
  for (let depth = 0; depth <= levels; depth += 1) {
    for (let path = 0; path < (depth <= tree.trunk || !depth ? 1 : tree.paths); path += 1) {
      const [x, y] = depth ? place(depth, path) : [middle, 24];
      parts.push(`<circle class="node" cx="${x}" cy="${y}" r="${radius}"/><circle class="reach" cx="${x}" cy="${y}" r="${radius}" fill-opacity="${now.reach[depth].toFixed(3)}"/>`);
    }
    parts.push(`<text x="4" y="${28 + down * depth}">${depth ? `depth ${depth}: ${share(now.reach[depth])}` : "root"}</text>`);
  }
  const width = left + across * (tree.paths - 1) + 30, height = 48 + down * levels;
  at("tree").innerHTML = `<svg viewBox="0 0 ${width} ${height}" style="max-width:${1.15 * width}px">${parts.join("")}</svg>`;
}

function drawVerifiers(state, answers) {
  const room = missingRoom(state), longest = Math.max(...answers.map((one) => one.tokens));
  const quickest = Math.max(...answers.map((one) => one.speed), 1 / plainSeconds(state));
  const rows = answers.map((one) => `<tr class="${one.place === chosen ? "chosen" : ""}"><th scope="row" class="word">`
    + `<label><input type="radio" name="verifier" value="${one.place}"${one.place === chosen ? " checked" : ""}> ${known.verifiers[one.place].name}</label></th>`
    + cells([["word", called(one.tree)], ["", one.tokens.toFixed(4)], ["drawn", bar(one.tokens, longest)],
      ["", room ? "–" : per(one.speed)], ["drawn", room ? "" : bar(one.speed, quickest)], ["", room ? "–" : one.gain.toFixed(2)]]) + "</tr>");
  const plain = `<tr><th scope="row" class="word">plain decoding</th>` + cells([["word", "no draft"], ["", "1.0000"], ["drawn", bar(1, longest)],
    ["", room ? "–" : per(1 / plainSeconds(state))], ["drawn", room ? "" : bar(1 / plainSeconds(state), quickest)], ["", "1.00"]]) + "</tr>";
  at("verifiers").innerHTML = rows.join("") + plain;
}

function drawSurvival(answers, now) {
  const wide = 560, high = 230, left = 56, base = high - 34, last = Math.max(now.reach.length - 1, 1);
  const x = (depth) => left + (wide - left - 20) * depth / last, y = (value) => base - (base - 14) * value;
  const lines = [0, 0.25, 0.5, 0.75, 1].map((value) => `<line class="grid" x1="${left}" x2="${wide - 20}" y1="${y(value)}" y2="${y(value)}"/><text class="right" x="${left - 6}" y="${y(value) + 4}">${100 * value} %</text>`);
  const path = (one) => one.reach.map((value, depth) => `${depth ? "L" : "M"}${x(depth).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  const others = answers.filter((one) => one.place !== now.place).map((one) => `<path class="other" d="${path(one)}"><title>${known.verifiers[one.place].name}</title></path>`);
  const marks = now.reach.map((value, depth) => `<circle class="mark" cx="${x(depth)}" cy="${y(value)}" r="4"/><text class="middle" x="${x(depth)}" y="${base + 18}">${depth}</text>`);
  at("survival").innerHTML = `<svg viewBox="0 0 ${wide} ${high}">${lines.join("")}${others.join("")}<path class="own" d="${path(now)}"/>${marks.join("")}<text class="middle" x="${(wide + left) / 2}" y="${high - 2}">depth</text></svg>`;
  at("survivors").innerHTML = now.reach.map((value, depth) => `<tr><th scope="row">${depth}</th><td>${value.toFixed(4)}</td><td>${depth + 1 < now.reach.length ? (value - now.reach[depth + 1]).toFixed(4) : value.toFixed(4)}</td></tr>`).join("");
}

function drawBest(state, best) {
  at("best").innerHTML = best.map((one, row) => `<tr><th scope="row" class="word">${known.verifiers[one.place].name}</th>`
    + cells([["word", called(one.tree)], ["", one.tokens.toFixed(4)], ["", missingRoom(state) ? "–" : per(one.speed)], ["", one.gain.toFixed(2)]])
    + `<td><button type="button" data-row="${row}">show</button></td></tr>`).join("");
  at("best").onclick = (event) => {
    const row = event.target.dataset.row;
    if (row !== undefined) show(best[row]);
  };
}

function show(one) {
  chosen = one.place;
  at("trunk").value = one.tree.trunk;
  at("paths").value = one.tree.paths;
  at("branch").value = one.tree.branch;
  draw();
}

// What a pass of smaller networks of one vocabulary costs on this machine.
function drawHint(state) {
  const own = time.networks[state.network], pass = (network) => targetPass({ ...state, network }, state.context - 1, 1);
  const smaller = Object.entries(time.networks).filter(([name, one]) => name !== state.network
    && Math.abs(one.vocabulary_size - own.vocabulary_size) < time.padding && one.parameters < own.parameters);
  at("hint").textContent = smaller.length ? `Here a pass of ${smaller.map(([name]) => `${name} costs ${(100 * pass(name) / pass(state.network)).toFixed(0)} %`).join(", of ")}.` : "";
}

function draw() {
  at("branch").value = Math.min(Number(at("branch").value), most.depth - Number(at("trunk").value));
  for (const id of SLIDERS) at(`${id}-shown`).textContent = SHOWN_AS[id] ? SHOWN_AS[id](Number(at(id).value)) : at(id).value;
  const state = stateOf(), tree = askedTree();
  const answers = known.verifiers.map((_, place) => answer(state, place, tree)).sort((one, other) => other.speed - one.speed);
  if (chosen < 0) chosen = answers[0].place;
  const now = answers.find((one) => one.place === chosen), best = fastest(state);
  at("common").textContent = inCommon(state).toFixed(4);
  at("own-name").textContent = `${known.verifiers[chosen].name} on ${called(now.tree)}`;
  drawFacts(state, now, best);
  drawHint(state);
  drawTree(now);
  drawVerifiers(state, answers);
  drawSurvival(answers, now);
  drawBest(state, best);
}

at("controls").addEventListener("input", draw);
at("verifiers").addEventListener("change", (event) => { chosen = Number(event.target.value); draw(); });
draw();
document.documentElement.dataset.drawn = performance.now().toFixed(0);
