// The workers at a glance, from GET /health, and the last minutes as two charts, from GET /metrics. Asks every two
// seconds while the page can be seen, and never twice at once.
// SPDX-License-Identifier: Apache-2.0

import { draw } from "./chart.js";
import { Refused, ask } from "./server.js";
import { age, counted, rate } from "./words.js";

const every = 2_000;
const span = 5 * 60_000;
/** After a longer silence the line of a chart has a gap. */
const gap = 3 * every;

const byID = (id) => document.getElementById(id);
const samples = [];
let tokensBefore = null; // {at, tokens}
let timer = null;

/** Asks now and from now on; pauses while the page is hidden. */
export function watch() {
  document.addEventListener("visibilitychange", () => (document.hidden ? rest() : look()));
  look();
}

/** Asks at once, for example after a token was given. */
export function look() {
  rest();
  if (document.hidden) return;
  const mine = {};
  timer = mine;
  Promise.allSettled([askHealth(), askMetrics()]).then(() => {
    // A later look, or the page's hiding, has taken over.
    if (timer === mine) timer = setTimeout(look, every);
  });
}

function rest() {
  if (typeof timer === "number") clearTimeout(timer);
  timer = null;
}

// MARK: - Health

async function askHealth() {
  try {
    const response = await ask("health", { accepted: [503], signal: AbortSignal.timeout(10_000) });
    showHealth(await response.json());
  } catch {
    showHealth(null);
  }
}

function showHealth(health) {
  const workers = health?.workers ?? [];
  const isServing = health?.status === "healthy";
  byID("light").className = `light ${isServing ? "good" : "bad"}`;
  setText(byID("serving"), health === null ? "the server does not answer"
    : isServing ? `${counted(workers.filter((one) => one.healthy).length, "worker")}, ${health.state}`
      : `no worker serves (${health.state.replaceAll("_", " ")})`);
  if (health?.model !== undefined) {
    setText(byID("model"), `${health.model}, ${health.quant_kind}, context ${health.context_length}`);
  }
  byID("workers").hidden = !workers.length;
  byID("no-workers").hidden = workers.length > 0;
  setText(byID("no-workers"), health === null ? "The server does not answer; the page goes on asking."
    : "No worker is connected. Start one: llorch-worker serve --model DIRECTORY");
  byID("workers").tBodies[0].replaceChildren(...workers.map(row));
}

function row(worker) {
  const line = document.createElement("tr");
  const name = document.createElement("th");
  name.scope = "row";
  name.textContent = worker.worker_id;
  line.append(name);
  const loaded = worker.load_progress === undefined ? "" : ` ${Math.round(100 * worker.load_progress)} %`;
  const conflict = worker.conflict === undefined ? "" : ` (${worker.conflict.replaceAll("_", " ")})`;
  const state = worker.healthy || worker.state === "loading" ? worker.state : `${worker.state}, does not serve`;
  for (const text of [`${state}${loaded}${conflict}`, worker.queued, age(worker.heartbeat_age_ms)]) {
    line.insertCell().textContent = text;
  }
  return line;
}

/** Leaves the page as it is where nothing changed. */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// MARK: - Metrics

async function askMetrics() {
  const at = performance.now();
  try {
    const response = await ask("metrics", { signal: AbortSignal.timeout(10_000) });
    take(numbers(await response.text()), at);
    setText(byID("numbers-note"), "");
  } catch (error) {
    tokensBefore = null;
    add({ at });
    setText(byID("numbers-note"), error instanceof Refused && error.status === 401
      ? "the numbers need the token" : "no numbers just now");
  }
  show(at);
}

/** The samples without labels of a page in Prometheus' text format. */
function numbers(page) {
  const found = new Map();
  for (const [, name, value] of page.matchAll(/^([a-z_]+) (\S+)$/gm)) found.set(name, Number(value));
  return found;
}

function take(found, at) {
  const tokens = found.get("llorch_generated_tokens_total");
  const sample = { at, running: found.get("llorch_jobs_running"), waiting: found.get("llorch_jobs_waiting") };
  if (tokensBefore !== null && tokens >= tokensBefore.tokens && at - tokensBefore.at <= gap) {
    sample.rate = 1000 * (tokens - tokensBefore.tokens) / Math.max(1, at - tokensBefore.at);
  }
  tokensBefore = tokens === undefined ? null : { at, tokens };
  add(sample);
}

function add(sample) {
  const last = samples.at(-1);
  if (last !== undefined && sample.at - last.at > gap) samples.push({ at: last.at + 1 });
  samples.push(sample);
  while (samples[0].at < sample.at - span) samples.shift();
}

function show(now) {
  const axis = { now, span };
  const last = samples.at(-1);
  const most = (name) => Math.max(0, ...samples.map((sample) => sample[name] ?? 0));
  const rates = draw(byID("rate-chart"), samples, [{ name: "rate", className: "rate", isArea: true }],
    { ...axis, least: 10 });
  setText(byID("rate-scale"), `up to ${rates}`);
  byID("rate-chart").setAttribute("aria-label", "Tokens per second in the last five minutes: "
    + `now ${rate(last.rate ?? 0)}, at most ${rate(most("rate"))}`);
  const jobs = draw(byID("jobs-chart"), samples, [
    { name: "running", className: "running" }, { name: "waiting", className: "waiting" },
  ], { ...axis, least: 2 });
  setText(byID("jobs-scale"), `up to ${jobs}`);
  byID("jobs-chart").setAttribute("aria-label", "Jobs in the last five minutes: "
    + `now ${last.running ?? 0} running and ${last.waiting ?? 0} waiting, `
    + `at most ${most("running")} running and ${most("waiting")} waiting`);
}
