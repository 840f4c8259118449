// Numbers, times and names in words. Whatever comes from the broker gets into
// the page through set and make: as text, never as HTML.

export const $ = (id) => document.getElementById(id);

// set changes an element's text, and leaves it alone if it is the same: what a
// person has selected stays selected.
export function set(el, text) {
  const t = String(text);
  if (el.textContent !== t) el.textContent = t;
}

// make returns a new element with a text and attributes.
export function make(tag, text, attrs) {
  const el = document.createElement(tag);
  if (text !== undefined) el.textContent = text;
  for (const [k, v] of Object.entries(attrs ?? {})) el.setAttribute(k, v);
  return el;
}

export const num = (n) => Number(n ?? 0).toLocaleString("en-US");

export const count = (n, one, many) => `${num(n)} ${Number(n) === 1 ? one : (many ?? one + "s")}`;

// span says milliseconds as people do, in at most two units.
export function span(ms) {
  ms = Math.max(0, Number(ms) || 0);
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const s = ms / 1000;
  if (s < 9.95) return `${s.toFixed(1)} s`;
  if (s < 60) return `${Math.floor(s)} s`;
  const pair = (big, bigName, small, smallName) => (small ? `${big} ${bigName} ${small} ${smallName}` : `${big} ${bigName}`);
  if (s < 3600) return pair(Math.floor(s / 60), "min", Math.floor(s % 60), "s");
  if (s < 86400) return pair(Math.floor(s / 3600), "h", Math.floor((s % 3600) / 60), "min");
  return pair(Math.floor(s / 86400), "d", Math.floor((s % 86400) / 3600), "h");
}

// bytes says a size.
export function bytes(n) {
  n = Number(n) || 0;
  const units = ["B", "KiB", "MiB", "GiB"];
  let u = 0;
  for (; n >= 1024 && u < units.length - 1; u++) n /= 1024;
  return `${u && n < 10 ? n.toFixed(1) : Math.round(n)} ${units[u]}`;
}

// clock says an instant in the time of this computer.
export function clock(at) {
  const d = new Date(at);
  return Number.isNaN(d.getTime()) ? "" : d.toLocaleTimeString("en-GB");
}

// Signs that cannot be seen or that turn text around: two names that differ must
// not look the same.
const hiddenSigns = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

// visible returns a name with such signs spelled out.
export const visible = (name) =>
  String(name ?? "").replace(hiddenSigns, (c) => `\\u{${c.charCodeAt(0).toString(16)}}`);

// sentence makes one of what the broker says of an error.
export function sentence(said) {
  const t = visible(said).trim();
  return t && t[0].toUpperCase() + t.slice(1) + (/[.!?]$/.test(t) ? "" : ".");
}

// whyLink returns a link to the story of a request.
export function whyLink(id) {
  return make("a", id, { href: "#why=" + encodeURIComponent(id), class: "id" });
}
