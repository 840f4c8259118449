// Calls of the broker's API, on the listener that served the page.

const base = "api/v1/";
const slow = 8000; // ms that an answer may take
const tokenKey = "privateer-token"; // of sessionStorage: gone with the tab

// A Problem is an answer that is not the one asked for, or none: status is 0.
export class Problem extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export function keepToken(token) {
  sessionStorage.setItem(tokenKey, token);
}

export const hasToken = () => sessionStorage.getItem(tokenKey) !== null;

async function call(method, path, signal) {
  const headers = {};
  const token = sessionStorage.getItem(tokenKey);
  if (token) headers.Authorization = "Bearer " + token;
  if (method !== "GET") headers["X-Privateer"] = "page";
  const signals = [AbortSignal.timeout(slow)];
  if (signal) signals.push(signal);
  let answer;
  let text;
  try {
    answer = await fetch(base + path, {
      method, headers, signal: AbortSignal.any(signals),
      cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer",
    });
    text = await answer.text();
  } catch (err) {
    if (signal?.aborted) throw err;
    throw new Problem(0, "", err.name === "TimeoutError" ? `It has not answered for ${slow / 1000} s.` : "");
  }
  let body = null;
  try {
    body = text === "" ? null : JSON.parse(text);
  } catch {
    throw new Problem(answer.status, "", "What answers is not a broker's API.");
  }
  if (answer.ok) return body;
  throw new Problem(answer.status, body?.code ?? "", body?.message ?? `It answered with status ${answer.status}.`);
}

const openMost = 200; // open requests that the page lists
const esc = encodeURIComponent;

// all asks for everything that the page draws at once.
export async function all(signal) {
  const get = (path) => call("GET", path, signal);
  const [status, services, workers, failures, dead, open] = await Promise.all(
    [get("status"), get("services"), get("workers"), get("failures"), get("dead"), get(`requests?limit=${openMost}`)]);
  return {
    status, services: services ?? [], workers: workers ?? [], failures: failures ?? [], dead: dead ?? [],
    open: { requests: open?.requests ?? [], more: open?.more ?? false },
  };
}

export const why = (id) => call("GET", "requests/" + esc(id));
export const cancel = (id) => call("POST", `requests/${esc(id)}/cancel`);
export const pause = (name) => call("POST", `services/${esc(name)}/pause`);
export const resume = (name) => call("POST", `services/${esc(name)}/resume`);
export const deadLetter = (id) => call("GET", "dead/" + esc(id));
export const requeue = (id) => call("POST", `dead/${esc(id)}/requeue`);
export const drop = (id) => call("DELETE", "dead/" + esc(id));
