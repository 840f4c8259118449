// What each section shows. Rows are built once and filled anew with every poll.

import * as api from "./api.js";
import { byText, lines, link, mark, name } from "./cells.js";
import { note, problem } from "./notes.js";
import { Table, action, text } from "./table.js";
import { $, clock, count, make, num, set, span, visible } from "./text.js";

const longWait = 10_000; // ms in a queue that catch the eye
const longLag = 100; // ms

// serviceState says in a word how a service stands, and how bad that is.
function serviceState(s) {
  if (s.paused) return ["paused", "warn"];
  if (s.queued > 0 && s.workers === 0) return ["no worker", "bad"];
  if (s.hanging && s.failing) return ["hanging, failing", "bad"];
  if (s.hanging) return ["hanging", "bad"];
  if (s.failing) return ["failing", "bad"];
  if (s.oldest_ms >= longWait) return ["waits long", "warn"];
  if (s.workers === 0) return ["no worker", "none"];
  return ["fine", "none"];
}

const ill = (s) => Number(s.hanging || s.failing);

export function servicesTable(refresh) {
  const pauseCell = (td, s) => {
    let b = td.firstElementChild;
    if (!b) {
      b = action("", async () => {
        const { name: service, paused } = b.row;
        try {
          await (paused ? api.resume : api.pause)(service);
          note(paused ? `Resumed ${visible(service)}.` : `Paused ${visible(service)}: what it has queued waits.`);
        } catch (err) {
          problem(`${paused ? "Not resumed" : "Not paused"}: ${visible(service)}.`, err);
        }
        await refresh();
      });
      td.append(b);
    }
    b.row = s;
    set(b, s.paused ? "Resume" : "Pause");
    b.setAttribute("aria-label", `${b.textContent} ${visible(s.name)}`);
  };
  return new Table($("services"), {
    columns: [
      { label: "Service", fill: name((s) => s.name), head: true },
      { label: "State", fill: mark(serviceState), kind: "tight" },
      { label: "Oldest waits", fill: text((s) => (s.queued ? span(s.oldest_ms) : "–")), kind: "number" },
      { label: "Queued", fill: text((s) => num(s.queued)), kind: "number" },
      { label: "Running", fill: text((s) => num(s.running)), kind: "number" },
      { label: "Longest run", fill: text((s) => (s.run_ms ? span(s.run_ms) : "–")), kind: "number" },
      { label: "Workers", fill: text((s) => num(s.workers)), kind: "number" },
      { label: "Ended", fill: text((s) => num(s.done)), kind: "number" },
      { label: "Failed", fill: text((s) => num(s.failed)), kind: "number" },
      { label: "Actions", fill: pauseCell, kind: "do" },
    ],
    key: (s) => s.name,
    compare: (a, b) => ill(b) - ill(a) || b.oldest_ms - a.oldest_ms || b.queued - a.queued || byText(a.name, b.name),
    order: "What hangs or fails comes first, then what has waited longest.",
    empty: "No service is known yet: no worker has offered one, and no request has named one.",
  });
}

// few leaves out what nobody reads.
const few = (names) => (names.length <= 4 ? names : [...names.slice(0, 3), `and ${num(names.length - 3)} more`]);

const settled = (w) => w.state === "up" || w.state === "registered";

// named is what people know a worker by: its label, or its machine and process.
const named = (w) => w.label || (w.host ? `${w.host}:${w.process ?? 0}` : "–");

export function workersTable() {
  return new Table($("workers"), {
    columns: [
      { label: "Worker", fill: text((w) => w.worker), head: true, kind: "id tight" },
      { label: "Name", fill: text((w) => visible(named(w))), kind: "tight" },
      { label: "State", kind: "tight", fill: mark((w) => [w.state, settled(w) ? "none" : w.state === "suspected" ? "bad" : "warn"]) },
      { label: "Services", fill: lines((w) => few(w.services ?? [])), kind: "lines" },
      { label: "Runs", fill: text((w) => num(w.running)), kind: "number" },
      { label: "Busy for", fill: text((w) => (w.running ? span(w.busy_ms) : "–")), kind: "number" },
      { label: "Last seen", fill: text((w) => span(w.seen_ms) + " ago"), kind: "number" },
      { label: "Room for", fill: text((w) => num(w.credit)), kind: "number" },
      { label: "Speaks", fill: text((w) => w.dialect), kind: "tight" },
    ],
    key: (w) => w.worker,
    compare: (a, b) => settled(a) - settled(b) || b.busy_ms - a.busy_ms || byText(a.worker, b.worker),
    order: "Those in trouble come first, then those that have been busy longest.",
    empty: "No worker is connected.",
  });
}

export function failuresTable(view) {
  const when = (td, f) => {
    const t = td.firstElementChild ?? td.appendChild(make("time"));
    t.setAttribute("datetime", f.at);
    set(t, `${clock(f.at)} (${span(view.brokerNow - Date.parse(f.at))} ago)`);
  };
  return new Table($("failures"), {
    columns: [
      { label: "Request", fill: link, head: true },
      { label: "When", fill: when, kind: "tight" },
      { label: "Service", fill: name((f) => f.service) },
      { label: "Outcome", fill: text((f) => f.code), kind: "tight" },
      { label: "Reason", fill: name((f) => f.reason) },
    ],
    key: (f) => f.id + f.at,
    compare: (a, b) => Date.parse(b.at) - Date.parse(a.at),
    order: "The newest first; of each service and outcome the last 16.",
    empty: "No request has failed that the broker remembers.",
  });
}

// drawStatus fills the tiles at the top.
export function drawStatus(s) {
  set($("which"), `${visible(s.version)} · epoch ${visible(s.epoch)}`);
  const tiles = [
    ["Open", num(s.open), ""],
    ["Queued", num(s.queued), ""],
    ["Oldest waits", s.queued ? span(s.oldest_ms) : "–", s.oldest_ms >= longWait ? "warn" : ""],
    ["Running", num(s.running), ""],
    ["Workers", num(s.workers), s.workers === 0 && s.open > 0 ? "bad" : ""],
    ["Dead letters", num(s.dead_letters), s.dead_letters > 0 ? "warn" : ""],
    ["Loop lag", span(s.loop_lag_ms), s.loop_lag_ms >= longLag ? "bad" : ""],
    ["Loop busy", `${Math.round(s.busy * 100)} %`, s.busy >= 0.9 ? "bad" : ""],
    ["Draining", s.draining ? "yes" : "no", s.draining ? "warn" : ""],
    ["Up for", span(s.uptime_ms), ""],
  ];
  const box = $("status");
  tiles.forEach(([label, value, kind], i) => {
    let tile = box.children[i];
    if (!tile) {
      tile = make("div");
      tile.append(make("dt", label), make("dd"));
      box.append(tile);
    }
    set(tile.lastElementChild, value);
    tile.className = kind;
  });
}

// kinds says which service fails with what, most first.
function kinds(failures) {
  const sums = new Map();
  for (const f of failures) {
    const k = `${f.service ? visible(f.service) : "(service not known)"}: ${f.code}`;
    sums.set(k, (sums.get(k) ?? 0) + 1);
  }
  const most = [...sums].sort((a, b) => b[1] - a[1]);
  const said = most.slice(0, 4).map(([k, n]) => `${num(n)} × ${k}`);
  if (most.length > 4) said.push(`and ${num(most.length - 4)} more kinds`);
  return said.join(" · ");
}

// drawFailureSum shows that above the failures.
export function drawFailureSum(failures) {
  const p = $("failures-sum");
  p.hidden = failures.length < 4;
  set(p, kinds(failures));
}

// some lists the first services of a list, and counts the others.
function some(list, say, rest, at = "#services") {
  const out = list.slice(0, 3).map((s) => [say(s), at]);
  if (list.length > 3) out.push([`${count(list.length - 3, "more service")} ${rest}.`, "#services"]);
  return out;
}

// trouble lists what somebody should look at first: [{kind, text, at}], the worst first.
export function trouble({ status, services, workers, failures }, view) {
  const byAge = [...services].sort((a, b) => b.oldest_ms - a.oldest_ms);
  const paused = byAge.filter((s) => s.paused);
  const alone = byAge.filter((s) => !s.paused && s.queued > 0 && s.workers === 0);
  const behind = byAge.filter((s) => !s.paused && s.workers > 0 && s.oldest_ms >= longWait);
  const waits = (s) => (s.queued ? `${num(s.queued)} queued, the oldest for ${span(s.oldest_ms)}` : "nothing queued");
  const silent = workers.filter((w) => w.state === "suspected" || w.state === "link reset").length;
  const failing = services.filter((s) => s.failing);
  const known = new Set(failing.map((s) => s.name)); // said already
  const fresh = failures.filter((f) => view.brokerNow - Date.parse(f.at) < 60_000 && !known.has(f.service));
  const hanging = services.filter((s) => s.hanging).sort((a, b) => b.run_ms - a.run_ms);
  const bad = [];
  const warn = [];
  if (status.draining) bad.push(["The broker is draining: it takes no new requests.", "#status-title"]);
  if (status.loop_lag_ms >= longLag) {
    const lag = span(status.loop_lag_ms);
    // A loop with little to do that is late was not let run.
    if (status.busy < 0.5) warn.push([`The broker's machine stood still for ${lag}: its processors were busy with something else.`, "#status-title"]);
    else bad.push([`The broker itself is slow: its loop lags by ${lag}.`, "#status-title"]);
  }
  if (view.lost > 0) bad.push([`${count(view.lost, "worker")} lost in the last 5 minutes.`, "#workers"]);
  if (silent) bad.push([`${count(silent, "worker has", "workers have")} gone silent.`, "#workers"]);
  bad.push(...some(hanging, (s) => `${visible(s.name)} hangs: worker ${s.run_worker} has had ${s.run_id} for ${span(s.run_ms)}.`, "with a run that hangs", "#open"));
  bad.push(...some(failing, (s) => `${visible(s.name)} fails: ${num(s.recent_failed)} of ${num(s.recent_done)} in the last 5 minutes did not end OK.`, "that fails", "#failures"));
  if (fresh.length) bad.push([`Failed in the last minute: ${kinds(fresh)}.`, "#failures"]);
  bad.push(...some(alone, (s) => `${visible(s.name)} has no worker: ${waits(s)}.`, "with requests and no worker"));
  warn.push(...some(paused, (s) => `${visible(s.name)} is paused: ${waits(s)}.`, "paused"));
  warn.push(...some(behind, (s) => `${visible(s.name)} is behind: ${waits(s)}, ${count(s.workers, "worker")}.`, `with a request that has waited over ${span(longWait)}`));
  if (status.dead_letters > 0) warn.push([`${count(status.dead_letters, "dead letter waits", "dead letters wait")} for a decision.`, "#dead"]);
  const all = (list, kind) => list.map(([said, at]) => ({ kind, text: said, at }));
  return [...all(bad, "bad"), ...all(warn, "warn")];
}

// drawTrouble shows that list, and its length in the window's title.
export function drawTrouble(list) {
  const box = $("look-list");
  while (box.children.length > list.length) box.lastElementChild.remove();
  list.forEach((t, i) => {
    let li = box.children[i];
    if (!li) {
      li = make("li");
      li.append(make("a"));
      box.append(li);
    }
    li.className = t.kind;
    li.firstElementChild.setAttribute("href", t.at);
    set(li.firstElementChild, t.text);
  });
  set($("look-none"), list.length ? "" : "Nothing stands out.");
  return list.length;
}
