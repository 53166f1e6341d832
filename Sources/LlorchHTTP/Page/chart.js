// Lines over time in an SVG. It knows neither what the numbers mean nor where they come from.
// SPDX-License-Identifier: Apache-2.0

const [width, height] = [300, 60];

/**
 * Draws `samples`, `{at, …}` in milliseconds, of the last `span` before `now`; each line is `{name, className, isArea}`.
 * A sample without the value leaves a gap. Returns the value at the upper edge.
 */
export function draw(svg, samples, lines, { now, span, least }) {
  const values = samples.flatMap((sample) => lines.map((line) => sample[line.name] ?? 0));
  const top = niceAbove(Math.max(least, ...values));
  const x = (sample) => (width * (sample.at - now + span) / span).toFixed(1);
  const y = (value) => (height - 2 - (height - 4) * value / top).toFixed(1);
  svg.replaceChildren(...lines.flatMap((line) => {
    const runs = withoutGaps(samples, line.name);
    const paths = runs.map((run) => run.map((sample) => `${x(sample)},${y(sample[line.name])}`).join(" L"));
    const stroke = path(paths.map((points) => `M${points}`).join(" "), line.className);
    if (!line.isArea) return [stroke];
    const area = runs.map((run, at) => `M${x(run[0])},${height} L${paths[at]} L${x(run.at(-1))},${height}Z`);
    return [path(area.join(" "), "area"), stroke];
  }));
  return top;
}

/** Stretches of samples that have the value. */
function withoutGaps(samples, name) {
  const runs = [];
  let run = null;
  for (const sample of samples) {
    if (sample[name] === undefined) run = null;
    else if (run === null) runs.push(run = [sample]);
    else run.push(sample);
  }
  return runs;
}

/** 1, 2 or 5 times a power of ten. */
function niceAbove(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((candidate) => candidate >= value);
}

function path(data, className) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "path");
  made.setAttribute("d", data);
  made.setAttribute("class", className);
  return made;
}
