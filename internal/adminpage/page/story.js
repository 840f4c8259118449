// The story of one request. Its id is in the address: #why=ID.

import * as api from "./api.js";
import { Table, text } from "./table.js";
import { $, clock, make, num, sentence, set, span, visible } from "./text.js";

const hash = "#why=";
const over = new Set(["done", "forgotten"]);

let id = "";
let state = "";
let steps;
let jumping = 0; // how often the story is yet to be brought into sight

function idOf(address) {
  if (!address.startsWith(hash)) return "";
  try {
    return decodeURIComponent(address.slice(hash.length)).trim();
  } catch {
    return address.slice(hash.length);
  }
}

function facts(w) {
  const end = over.has(w.state);
  return [
    ["State", w.state],
    ["Outcome", w.code],
    ["Did it run?", w.certainty],
    ["Service", w.service && visible(w.service)],
    ["Attempt", w.attempt],
    ["Worker", w.worker && w.worker_name ? `${w.worker} (${visible(w.worker_name)})` : w.worker],
    ["Age", w.age_ms && span(w.age_ms)],
    ["Until its deadline", end ? "" : w.left_ms && span(w.left_ms)],
    ["Go before it", w.state === "queued" ? num(w.behind) : ""],
    ["Clients that wait", end ? "" : num(w.clients)],
    ["Dead letter", w.dead_letter && "yes"],
  ].filter(([, v]) => v !== undefined && v !== "" && v !== false && v !== 0);
}

function draw(w) {
  set($("why-answer"), visible(w.answer));
  $("why-answer").classList.remove("bad-text");
  $("why-facts").replaceChildren(...facts(w).map(([label, value]) => {
    const box = make("div");
    box.append(make("dt", label), make("dd", value));
    return box;
  }));
  steps.update((w.steps ?? []).map((s, i) => ({ ...s, i })));
}

function clear(said, bad) {
  set($("why-answer"), said);
  $("why-answer").classList.toggle("bad-text", bad);
  $("why-facts").replaceChildren();
  steps.update([]);
}

// reload asks for the story again, unless it has an end; what counts is the
// last one asked for.
export async function reload(anyway) {
  const asked = id;
  if (!asked || (!anyway && over.has(state))) return;
  try {
    const w = await api.why(asked);
    if (asked !== id) return;
    state = w.state;
    draw(w);
    arrive();
  } catch (err) {
    if (asked !== id) return;
    if (err.status === 404) clear(`This broker knows nothing of ${visible(asked)}: it never came here, or is forgotten.`, true);
    else if (err.status === 400) clear(`${visible(asked)} is not the id of a request.`, true);
    else if (anyway) clear(sentence(err.message) || "The broker cannot be reached.", true);
    if (err.status === 404 || err.status === 400) state = "forgotten"; // no use to ask again
  }
}

function open(next, jump) {
  if (!next) return;
  if (next !== id) {
    id = next;
    state = "";
    clear("Asking…", false);
  }
  $("why-id").value = id;
  if (jump) {
    $("request-title").focus({ preventScroll: true });
    jumping = 2; // its own data, and the first data of what is above it
    $("request").scrollIntoView();
  }
  reload(true);
}

// arrive brings the story into sight once more when what has come has moved it,
// unless the person has gone elsewhere.
export function arrive() {
  if (jumping === 0) return;
  jumping--;
  $("request").scrollIntoView();
}

// startStory wires the section, and opens the story that the address names.
export function startStory() {
  steps = new Table($("request"), {
    columns: [
      { label: "When", fill: (td, s) => set(td, `${clock(s.at)} (${span(s.ago_ms)} ago)`), head: true, kind: "tight" },
      { label: "What", fill: text((s) => visible(s.text)) },
      { label: "Attempt", fill: text((s) => s.attempt || "–"), kind: "number" },
      { label: "Worker", fill: text((s) => s.worker || "–"), kind: "id tight" },
      { label: "Code", fill: text((s) => s.code || "–"), kind: "tight" },
    ],
    key: (s) => s.i,
    compare: (a, b) => a.i - b.i,
    order: "What has happened to it, the first thing first.",
    empty: "",
    counted: false,
  });
  steps.update([]);
  $("why-form").addEventListener("submit", (e) => {
    e.preventDefault();
    const next = $("why-id").value.trim();
    if (!next) return;
    const address = hash + encodeURIComponent(next);
    if (location.hash !== address) history.pushState(null, "", address);
    open(next, false);
  });
  for (const kind of ["wheel", "touchmove", "keydown", "pointerdown"]) addEventListener(kind, () => (jumping = 0), { passive: true });
  addEventListener("hashchange", () => open(idOf(location.hash), true));
  document.addEventListener("click", (e) => {
    const a = e.target.closest?.("a[href]");
    if (a?.hash.startsWith(hash) && a.hash === location.hash) open(idOf(a.hash), true);
  });
  open(idOf(location.hash), true);
}
