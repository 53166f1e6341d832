// Requests to the server that showed the page, with the token where there is one, and refusals as errors.
// It decides neither what is asked nor what is done about a refusal.
// SPDX-License-Identifier: Apache-2.0

import { sentence } from "./words.js";

const storageKey = "llorch-token";
let token = stored();

/** The server answered with a status that is no success. */
export class Refused extends Error {
  constructor(status, errors, retryAfter) {
    super(errors.map((error) => sentence(error.message)).join(" ") || `The server answered with status ${status}.`);
    this.status = status;
    this.errors = errors;
    /** Seconds, as the server says; null where it does not. */
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may succeed in a while. */
  get isPassing() {
    return [429, 502, 503, 504].includes(this.status) && !this.concerns("X-Deadline");
  }

  concerns(field) {
    return this.errors.some((error) => error.field?.toLowerCase() === field.toLowerCase());
  }
}

/** The server could not be reached, or the connection was cut. */
export class Unreachable extends Error {}

/** The response of the server; throws `Refused` for statuses other than 2xx and those in `accepted`. */
export async function ask(path, { accepted = [], headers = {}, ...options } = {}) {
  const sent = { ...headers };
  if (token !== null) sent.Authorization = `Bearer ${token}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers: sent, cache: "no-store", credentials: "omit" });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Unreachable("The server cannot be reached.");
  }
  if (response.ok || accepted.includes(response.status)) return response;
  throw new Refused(response.status, await errors(response), retryAfter(response));
}

export function post(path, body, options = {}) {
  const headers = { "Content-Type": "application/json", ...options.headers };
  return ask(path, { ...options, method: "POST", body, headers });
}

export function hasToken() {
  return token !== null;
}

/** Keeps the token in this tab; null forgets it. */
export function keepToken(text) {
  token = text;
  try {
    if (text === null) sessionStorage.removeItem(storageKey);
    else sessionStorage.setItem(storageKey, text);
  } catch {
    // Without storage the page keeps the token until it is loaded again.
  }
}

function stored() {
  try {
    return sessionStorage.getItem(storageKey);
  } catch {
    return null;
  }
}

/** `{"errors":[…]}`; a proxy in between may answer with anything. */
async function errors(response) {
  try {
    const body = JSON.parse(await response.text());
    return Array.isArray(body.errors) ? body.errors.filter((error) => typeof error?.message === "string") : [];
  } catch {
    return [];
  }
}

function retryAfter(response) {
  const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : null;
}
