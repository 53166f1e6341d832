// Sentences and numbers as a person reads them. Pure functions: nothing here touches the page or the network.
// SPDX-License-Identifier: Apache-2.0

/** Why a stream ended, from its `end` event; `asked` is the number of tokens asked for. */
export function ending(event, asked) {
  const count = counted(event.tokens_out, "token");
  switch (event.stop_reason) {
    case "MAX_TOKENS":
      return event.tokens_out < asked ? `Ended after ${count}: the model's context is full.`
        : `Ended after ${count}, as many as asked for.`;
    case "EOS": return `Ended after ${count}: the model ended its text.`;
    case "STOP_SEQUENCE":
      return `Ended after ${count}: the stop sequence ${quoted(event.stop_sequence_matched ?? "")} came.`;
    default: return `Ended after ${count} (${event.stop_reason}).`;
  }
}

/** Why a stream ended, from its `error` event. */
export function failing(event, tokens) {
  if (event.code === "CANCELLED") return `Stopped after ${counted(tokens, "token")}.`;
  const again = event.retriable ? " It may succeed when it is run again." : "";
  return `Failed: ${sentence(event.message ?? "no reason given")} (${event.code})${again}`;
}

/** A message of the server with a full stop. */
export function sentence(text) {
  const trimmed = String(text).trim();
  return /[.!?]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}

/** Text in quotes in which spaces and line ends can be seen. */
export function quoted(text) {
  return `“${visible(text)}”`;
}

/** Text in which what has no shape can be seen. */
export function visible(text) {
  return text.replaceAll(" ", "␣").replaceAll("\n", "↵").replaceAll("\t", "⇥")
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => `⟨U+${hexadecimal(character.codePointAt(0), 4)}⟩`);
}

/** The text of bytes, which need not be whole characters. */
export function textOf(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(new Uint8Array(bytes));
  } catch {
    return null;
  }
}

/** Bytes as text where they are whole characters, else as hexadecimal numbers. */
export function named(bytes) {
  const text = textOf(bytes);
  return text === null ? bytes.map((byte) => `⟨${hexadecimal(byte, 2)}⟩`).join("") : visible(text);
}

/** A probability from its natural logarithm. */
export function percent(logProbability) {
  const share = 100 * Math.exp(logProbability);
  if (share < 0.01) return "< 0.01 %";
  return `${share.toFixed(share < 1 ? 2 : 1)} %`;
}

export function rate(perSecond) {
  return perSecond >= 100 ? perSecond.toFixed(0) : perSecond.toFixed(1);
}

export function milliseconds(time) {
  return time < 1000 ? `${Math.max(1, Math.round(time))} ms` : `${(time / 1000).toFixed(2)} s`;
}

export function age(time) {
  return time < 10_000 ? `${(time / 1000).toFixed(1)} s ago` : `${Math.round(time / 1000)} s ago`;
}

export function counted(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function hexadecimal(number, digits) {
  return number.toString(16).toUpperCase().padStart(digits, "0");
}
