// What happens when: run, stop, again, keys, and the sentence that tells how it went. Requests and streams: job.js;
// the form: form.js; the text: text.js; workers and charts: workers.js.
// SPDX-License-Identifier: Apache-2.0

import * as form from "./form.js";
import { drawnSeed, newJobID, run } from "./job.js";
import { Refused, Unreachable, hasToken, keepToken, post } from "./server.js";
import * as text from "./text.js";
import { allow } from "./token.js";
import { look, watch } from "./workers.js";
import { counted, ending, failing, milliseconds, rate, sentence } from "./words.js";

/** How many alternatives of each token are asked for. */
const alternatives = 5;
/** What the server takes where the form says nothing. */
const standardTokens = 2048;
/** A job that was told to stop, and does not end for this long, is left. */
const stopMilliseconds = 3_000;

const byID = (id) => document.getElementById(id);
let running = null; // {id, abort}
let previous = null; // the last run that began: {members, seed, text, isWhole}

// MARK: - Running

/** Runs what the form says, or `earlier` once more. */
async function start(earlier = null) {
  if (running !== null || byID("ask").open) return;
  form.clearErrors();
  let members, seed;
  try {
    ({ members, seed } = earlier ?? form.read());
  } catch (error) {
    return refuse(error);
  }
  seed ??= drawnSeed();
  const job = { id: newJobID(), abort: new AbortController() };
  setRunning(job);
  try {
    await stream(job, members, seed, earlier);
  } catch (error) {
    if (job.abort.signal.aborted) say("Stopped; the server did not confirm it.");
    else if (error instanceof Refused && error.status === 401) {
      setRunning(null);
      if (await askForToken()) return start(earlier ?? { members, seed });
      refuse(error);
    } else refuse(error);
  } finally {
    if (running === job) setRunning(null);
  }
}

async function stream(job, members, seed, earlier) {
  const body = request({ job_id: job.id, ...members, logprobs: alternatives }, seed);
  const begun = performance.now();
  let mine = null, tokens = 0, first = null, latest = null;
  say("Waiting for the first token.");
  showAnswer();
  try {
    await run(body, {
      signal: job.abort.signal,
      onLost: (wait) => say(`The connection was lost. The page comes back for the rest in ${milliseconds(wait)}.`),
      onEvent: ({ data, raw }) => {
        if (data.type === "started") {
          // Once more where the text begins anew. The seed is taken as text: beyond 2⁵³ a number would lose digits.
          mine = { members, seed: /"seed":(\d+)/.exec(raw)?.[1] ?? seed, text: "", isWhole: false };
          previous = mine;
          [tokens, first, latest] = [0, null, null];
          byID("fact-seed").textContent = mine.seed;
          text.begin(members.prompt);
          showFacts({ tokens });
        } else if (data.type === "token") {
          latest = performance.now();
          first ??= latest;
          tokens += data.ids.length;
          if (byID("status").dataset.kind !== "writing") say("Writing.", "writing");
          text.add(data);
          showFacts({ tokens, wait: first - begun, time: latest - first });
        } else if (data.type === "end" || data.type === "error") {
          if (mine !== null) mine.isWhole = data.type === "end";
          finish(data, members, tokens, earlier);
        }
      },
    });
  } finally {
    if (mine !== null) mine.text = text.written();
  }
}

/** The JSON of a request: `seed` keeps all of its digits. */
function request(members, seed) {
  return `${JSON.stringify(members).slice(0, -1)},"seed":${seed}}`;
}

function finish(event, members, tokens, earlier) {
  const isWhole = event.type === "end";
  const told = isWhole ? ending(event, members.max_tokens ?? standardTokens) : failing(event, tokens);
  const compared = earlier?.text === undefined ? "" : ` ${comparison(earlier, text.written(), isWhole)}`;
  if (isWhole) byID("fact-tokens").textContent = event.tokens_out;
  say(`${told}${compared}`, isWhole || event.code === "CANCELLED" ? "" : "bad");
}

/** Whether the text of a run is that of the run before it with the same seed. */
function comparison(earlier, now, isWhole) {
  if (earlier.isWhole && isWhole) {
    if (now === earlier.text) return "It is the same text, character for character.";
  } else if (now.startsWith(earlier.text) || earlier.text.startsWith(now)) {
    return "It is the same text, as far as both runs came.";
  }
  let at = 0;
  while (at < now.length && now[at] === earlier.text[at]) at += 1;
  return `It is another text from character ${at + 1} on.`;
}

async function stop() {
  const job = running;
  if (job === null || job.isStopping) return;
  job.isStopping = true;
  allow(byID("stop"), false);
  say("Stopping.");
  setTimeout(() => job.abort.abort(), stopMilliseconds);
  try {
    await post("cancel", JSON.stringify({ job_id: job.id }), { signal: job.abort.signal });
  } catch {
    // Leaving cancels the job as well.
    job.abort.abort();
  }
}

// MARK: - What is shown

function setRunning(job) {
  running = job;
  if (job === null) text.finish();
  allow(byID("run"), job === null);
  allow(byID("stop"), job !== null);
  allow(byID("again"), job === null && previous !== null);
  byID("forget").hidden = !hasToken();
}

/** The sentence that screen readers say; `kind` is "bad" for what went wrong. */
function say(words, kind = "") {
  const status = byID("status");
  status.dataset.kind = kind;
  status.className = kind === "bad" ? "status bad" : "status";
  status.textContent = words;
}

function refuse(error) {
  if (!(error instanceof form.Mistakes || error instanceof Refused || error instanceof Unreachable)) {
    say(`The page failed: ${sentence(error.message)}`, "bad");
    throw error;
  }
  form.showErrors(error.errors ?? []);
  const again = !error.retryAfter ? "" : ` Try again in ${counted(error.retryAfter, "second")}.`;
  const reasons = (error.errors ?? []).map((one) => {
    const name = form.label(one.field);
    return name === null || one.message.startsWith(name) ? sentence(one.message) : `${name}: ${sentence(one.message)}`;
  });
  say(`${reasons.join(" ") || sentence(error.message)}${again}`, "bad");
}

/** On a narrow screen the text lies below the form. */
function showAnswer() {
  const answer = byID("answer");
  const { top } = answer.getBoundingClientRect();
  if (top >= 0 && top < innerHeight - 200) return;
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  answer.scrollIntoView({ block: "start", behavior: isCalm ? "auto" : "smooth" });
}

function showFacts({ tokens, wait, time }) {
  byID("fact-tokens").textContent = tokens;
  byID("fact-first").textContent = wait === undefined ? "–" : milliseconds(wait);
  byID("fact-rate").textContent = tokens > 1 && time > 0 ? rate(1000 * (tokens - 1) / time) : "–";
}

// MARK: - The token

/** Asks the person; whether there is a token now. */
function askForToken() {
  const dialog = byID("ask"), field = byID("ask-token");
  field.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const given = dialog.returnValue === "use" && field.value.trim() !== "";
      if (given) {
        keepToken(field.value.trim());
        look();
      }
      field.value = "";
      byID("forget").hidden = !hasToken();
      resolve(given);
    }, { once: true });
  });
}

// MARK: - Buttons and keys

byID("form").addEventListener("submit", (event) => {
  event.preventDefault();
  start();
});
byID("stop").addEventListener("click", stop);
byID("again").addEventListener("click", () => {
  if (previous !== null) start(previous);
});
byID("forget").addEventListener("click", () => {
  keepToken(null);
  byID("forget").hidden = true;
  byID("prompt").focus();
  say("The token is forgotten.");
});
document.addEventListener("keydown", (event) => {
  if (event.isComposing || byID("ask").open) return;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    start();
  } else if (event.key === "Escape" && running !== null) {
    event.preventDefault();
    stop();
  }
});

setRunning(null);
watch();
