// The form: what it says as a request, and the server's objections beside the fields that they concern. Which values
// are allowed is the server's to say; the page only finds what is no number.
// SPDX-License-Identifier: Apache-2.0

const numbers = ["max_tokens", "temperature", "top_k", "top_p", "min_p", "repetition_penalty"];
const fields = ["prompt", ...numbers, "seed", "stop"];

/** Objections that the page has itself, in the form of the server's. */
export class Mistakes extends Error {
  constructor(errors) {
    super(errors.map((error) => error.message).join(" "));
    this.errors = errors;
  }
}

/** The members of the request, without id and seed, and the seed as text or null; throws `Mistakes`. */
export function read() {
  const errors = [];
  const members = { prompt: input("prompt").value };
  for (const name of numbers) {
    const field = input(name);
    if (field.validity.badInput) errors.push({ field: name, message: `${label(name)}: this is no number.` });
    else if (field.value !== "") members[name] = Number(field.value);
  }
  const stop = stopSequences(input("stop").value);
  if (stop.length) members.stop = stop;
  const seed = input("seed").value.trim();
  if (!/^\d{0,20}$/.test(seed)) {
    errors.push({ field: "seed", message: "Seed: a whole number from 0 to 18446744073709551615 is expected." });
  }
  if (errors.length) throw new Mistakes(errors);
  return { members, seed: seed === "" ? null : seed.replace(/^0+(?=\d)/, "") };
}

/** One sequence a line; empty lines are none. */
export function stopSequences(text) {
  return text.split("\n").filter((line) => line !== "").map((line) =>
    line.replace(/\\(.)/g, (escape, letter) => ({ n: "\n", t: "\t", "\\": "\\" })[letter] ?? escape));
}

/** Shows objections beside their fields; gives back those that concern no field of the form. */
export function showErrors(errors) {
  clearErrors();
  const others = [];
  let first = null;
  for (const error of errors) {
    const name = fields.find((field) => error.field === field || error.field?.startsWith(`${field}[`));
    if (name === undefined) {
      others.push(error);
      continue;
    }
    const place = document.getElementById(`${name}-error`);
    place.textContent = [place.textContent, error.message].filter((text) => text).join(" ");
    input(name).setAttribute("aria-invalid", "true");
    first ??= input(name);
  }
  first?.focus();
  return others;
}

export function clearErrors() {
  for (const name of fields) {
    document.getElementById(`${name}-error`).textContent = "";
    input(name).removeAttribute("aria-invalid");
  }
}

/** How the form calls a field of the request; null for a field that it does not have. */
export function label(name) {
  return fields.includes(name) ? input(name).labels[0].textContent : null;
}

function input(name) {
  return document.querySelector(`#form [name="${name}"]`);
}
