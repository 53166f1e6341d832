// What is known about one token: its probability and what else the model might have written. Screen readers hear it
// as one sentence, and only when a person moves by keyboard.
// SPDX-License-Identifier: Apache-2.0

import { counted, named, percent, quoted, visible } from "./words.js";

const panel = document.getElementById("token");
const title = document.getElementById("token-title");
const body = document.getElementById("token-body");
const voice = document.getElementById("token-voice");

export function hideToken() {
  panel.hidden = true;
  voice.textContent = "";
}

/** Shows a piece, `{text, ids, chances}`; `aloud` says it to screen readers too. */
export function showToken(piece, aloud) {
  const { text, ids, chances } = piece;
  title.textContent = chances.length === 1 ? heading(chances[0]) : `${quoted(text)}, ${counted(ids.length, "token")}`;
  const parts = [];
  for (const one of chances) {
    if (chances.length > 1) parts.push(element("h3", heading(one)));
    parts.push(table(one));
  }
  if (!chances.length) {
    parts.push(element("p", `Token id ${ids.join(", ")}. The server sent no probabilities.`, "hint"));
  }
  body.replaceChildren(...parts);
  panel.hidden = false;
  voice.textContent = aloud ? spoken(piece) : "";
}

/** Says whether a button can be used now; one that cannot keeps the focus, and does nothing. */
export function allow(button, isAllowed) {
  button.setAttribute("aria-disabled", String(!isAllowed));
}

function heading(one) {
  const share = one.logprob === null ? "" : `, ${percent(one.logprob)}`;
  return `“${named(one.bytes)}”${share}, token ${one.id}`;
}

/** The alternatives, best first, with the chosen token among them or below. */
function table(one) {
  const rows = [...(one.top ?? [])];
  if (one.logprob !== null && !rows.some((row) => row.id === one.id)) rows.push(one);
  const made = document.createElement("table");
  made.setAttribute("aria-label", "What the model might have written");
  const lines = document.createElement("tbody");
  for (const row of rows) {
    const line = document.createElement("tr");
    if (row.id === one.id) line.className = "chosen";
    const name = element("th", named(row.bytes));
    name.scope = "row";
    const bar = element("span", "", "bar");
    bar.style.width = `${100 * Math.exp(row.logprob)}%`;
    const drawn = document.createElement("td");
    drawn.setAttribute("aria-hidden", "true");
    drawn.append(bar);
    line.append(name, element("td", percent(row.logprob), "number"), drawn);
    lines.append(line);
  }
  made.append(lines);
  return made;
}

function spoken({ text, chances }) {
  const sentences = chances.map((one) => {
    const others = (one.top ?? []).filter((row) => row.id !== one.id)
      .map((row) => `${named(row.bytes)} ${percent(row.logprob)}`);
    const share = one.logprob === null ? "" : ` ${percent(one.logprob)}`;
    return `${named(one.bytes)}${share}.${others.length ? ` Or: ${others.join(", ")}.` : ""}`;
  });
  return (sentences.join(" ") || visible(text)).replaceAll("␣", " ").replaceAll("↵", "line end");
}

function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}
