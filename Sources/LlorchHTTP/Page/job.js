// One job from its request to its end: sends it, reads its events, and comes back for the rest after a lost
// connection, as docs/http-api.md says under "Coming back". It shows nothing.
// SPDX-License-Identifier: Apache-2.0

import { readEvents } from "./events.js";
import { Refused, Unreachable, post } from "./server.js";

/** The server keeps what it has for a client that is away for this long. */
const keptMilliseconds = 60_000;
const firstPause = 500;
const longestPause = 8_000;

/** A name that no other job has; `crypto.randomUUID` exists on https and localhost only. */
export function newJobID() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `page-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** A seed below 2⁵³, as text: the page draws it so that a request that is sent again is the same request. */
export function drawnSeed() {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2));
  return String((BigInt(high) << 21n) | BigInt(low >>> 11));
}

/**
 * Runs a job. `body` is the JSON text of the request.
 *
 * `onEvent` is given each event: a second `started` where the text begins again from its start. `onLost` is given the
 * milliseconds until the next try. Returns after `end` or `error`; throws `Refused` or `Unreachable`.
 */
export async function run(body, { signal, onEvent, onLost }) {
  let last = null; // the id of the last frame that came
  let hasBegun = false;
  let lostAt = null, pause = firstPause;
  for (;;) {
    let wait = pause;
    try {
      const headers = last === null ? {} : { "Last-Event-ID": last };
      const response = await post("execute", body, { signal, headers });
      for await (const event of readEvents(response.body)) {
        if (event.id !== undefined) last = event.id;
        [hasBegun, lostAt, pause] = [true, null, firstPause];
        onEvent(event);
        if (event.data.type === "end" || event.data.type === "error") return;
      }
      hasBegun = true;
    } catch (error) {
      if (signal.aborted) throw error;
      if (error instanceof Refused) {
        if (last !== null && error.status === 400 && error.concerns("Last-Event-ID")) {
          // The server knows nothing of the job any more: the same request and seed give the same text anew.
          last = null;
          continue;
        }
        if (!hasBegun || !error.isPassing) throw error;
        if (error.retryAfter !== null) wait = Math.max(wait, 1000 * error.retryAfter);
      } else if (!hasBegun && error instanceof Unreachable) {
        throw error;
      } else if (!(error instanceof Unreachable) && !isCut(error)) {
        throw error;
      }
      hasBegun = true;
    }
    lostAt ??= performance.now();
    if (performance.now() - lostAt + wait > keptMilliseconds) {
      throw new Unreachable("The connection was lost, and the server did not come back within a minute.");
    }
    onLost(wait);
    await sleep(wait, signal);
    pause = Math.min(2 * pause, longestPause);
  }
}

/** Browsers throw a TypeError where a body ends before its end. */
function isCut(error) {
  return error instanceof TypeError;
}

function sleep(time, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, time);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}
