// Reads a stream of server-sent events from the body of a response: EventSource can neither send POST nor a token.
// What the events mean: job.js.
// SPDX-License-Identifier: Apache-2.0

/**
 * Yields `{id, data, raw}` for each complete event: `id` is undefined where the event has none, `raw` is the JSON text
 * of `data`. An event that was cut off in its middle is thrown away, as the HTML standard demands.
 */
export async function* readEvents(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let id, data = [];
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines.map((text) => text.replace(/\r$/, ""))) {
        if (line === "") {
          if (data.length) {
            const raw = data.join("\n");
            yield { id, data: JSON.parse(raw), raw };
          }
          [id, data] = [undefined, []];
        } else if (line.startsWith("id:")) {
          id = field(line, 3);
        } else if (line.startsWith("data:")) {
          data.push(field(line, 5));
        }
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function field(line, length) {
  const value = line.slice(length);
  return value.startsWith(" ") ? value.slice(1) : value;
}
