// The text: prompt and answer, in which each token can be looked at by pointer, touch or keyboard. Text of a model is
// put into the page as text nodes only. How a token looks inside: token.js.
// SPDX-License-Identifier: Apache-2.0

import { allow, hideToken, showToken } from "./token.js";
import { textOf } from "./words.js";

const pane = document.getElementById("text");
/** What each span with `data-at` shows: `{text, ids, chances}`. */
let pieces = [];
let looked = null;
let answer = "";

/** Begins anew with a prompt. */
export function begin(prompt) {
  [pieces, looked, answer] = [[], null, ""];
  const span = document.createElement("span");
  span.className = "prompt";
  span.textContent = prompt;
  pane.replaceChildren(span);
  pane.classList.add("running");
  hideToken();
  allowSteps();
}

/** Nothing more comes. */
export function finish() {
  pane.classList.remove("running");
}

/** Adds the piece of a `token` event. */
export function add({ t, ids, logprobs }) {
  const isAtEnd = pane.scrollHeight - pane.scrollTop - pane.clientHeight < 48;
  answer += t;
  for (const piece of split(t, ids, logprobs ?? [])) {
    const span = document.createElement("span");
    span.dataset.at = pieces.length;
    if (piece.chances.length) span.dataset.chance = chance(piece.chances);
    span.textContent = piece.text;
    pieces.push(piece);
    pane.append(span);
  }
  if (pieces.length) allowSteps();
  if (isAtEnd) pane.scrollTop = pane.scrollHeight;
}

/** All that the model has written. */
export function written() {
  return answer;
}

/** A piece with several tokens as one piece for each, where every token is whole characters. */
function split(text, ids, chances) {
  const parts = chances.map((one) => textOf(one.bytes));
  if (parts.length < 2 || parts.includes(null) || parts.join("") !== text) return [{ text, ids, chances }];
  return parts.map((part, at) => ({ text: part, ids: [ids[at]], chances: [chances[at]] }));
}

/** 3 for what was to be expected, 0 for a surprise: of the least likely token of a piece. */
function chance(chances) {
  const share = Math.exp(Math.min(...chances.map((one) => one.logprob ?? 0)));
  return [0.02, 0.1, 0.3].filter((limit) => share >= limit).length;
}

// MARK: - Looking at a token

function look(at, { aloud }) {
  looked?.classList.remove("looked-at");
  looked = pane.querySelector(`[data-at="${at}"]`);
  if (looked === null) return hideToken();
  looked.classList.add("looked-at");
  showToken(pieces[at], aloud);
  allowSteps();
}

/** A step by key or button: seen, and said to screen readers. */
function step(at) {
  look(at, { aloud: true });
  looked?.scrollIntoView({ block: "nearest" });
}

const steps = { "previous-token": -1, "next-token": 1 };

/** Screen readers keep the arrow keys for themselves while they read, so there are buttons too. */
function allowSteps() {
  for (const [id, direction] of Object.entries(steps)) {
    allow(document.getElementById(id), place() + direction in pieces);
  }
}

function place() {
  return looked === null ? -1 : Number(looked.dataset.at);
}

/** The place of the token above or below, at about the same distance from the left. */
function vertical(direction) {
  const from = looked.getClientRects()[0];
  if (from === undefined) return place() + direction;
  let best = place(), distance = Infinity, line = null;
  for (let at = place() + direction; at >= 0 && at < pieces.length; at += direction) {
    const rect = pane.querySelector(`[data-at="${at}"]`).getClientRects()[0];
    if (rect === undefined || Math.abs(rect.top - from.top) < from.height / 2) continue;
    line ??= rect.top;
    if (Math.abs(rect.top - line) >= from.height / 2) break;
    if (Math.abs(rect.left - from.left) < distance) [best, distance] = [at, Math.abs(rect.left - from.left)];
  }
  return best;
}

const moves = {
  ArrowRight: () => Math.min(place() + 1, pieces.length - 1),
  ArrowLeft: () => Math.max(place() - 1, 0),
  ArrowDown: () => (looked === null ? 0 : vertical(1)),
  ArrowUp: () => (looked === null ? pieces.length - 1 : vertical(-1)),
  Home: () => 0,
  End: () => pieces.length - 1,
};

pane.addEventListener("keydown", (event) => {
  if (!(event.key in moves) || event.ctrlKey || event.metaKey || event.altKey || !pieces.length) return;
  event.preventDefault();
  step(moves[event.key]());
});

for (const [id, direction] of Object.entries(steps)) {
  document.getElementById(id).addEventListener("click", () => {
    if (place() + direction in pieces) step(place() + direction);
  });
}

for (const kind of ["pointerover", "click"]) {
  pane.addEventListener(kind, (event) => {
    const span = event.target.closest("[data-at]");
    if (span !== null && span !== looked) look(Number(span.dataset.at), { aloud: false });
  });
}

pane.addEventListener("focus", () => {
  if (looked === null && pieces.length && pane.matches(":focus-visible")) look(0, { aloud: true });
});
