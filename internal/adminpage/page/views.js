// What each section shows. Rows are built once and filled anew with every poll.

import * as api from "./api.js";
import { note, problem } from "./notes.js";
import { Table, action, text } from "./table.js";
import { $, bytes, clock, count, make, num, set, span, visible, whyLink } from "./text.js";

const longWait = 10_000; // ms in a queue that catch the eye
const longLag = 100; // ms

// name fills a cell with a name from the broker.
const name = (f) => (td, row) => set(td.firstElementChild ?? td.appendChild(make("bdi")), visible(f(row)));

// lines fills a cell with one line for each text.
const lines = (f) => (td, row) => {
  const texts = f(row);
  while (td.children.length > texts.length) td.lastElementChild.remove();
  texts.forEach((t, i) => set(td.children[i] ?? td.appendChild(make("div")), visible(t)));
};

// link fills a cell with a link to a request's story, once.
const link = (td, row) => {
  if (td.textContent !== row.id) td.replaceChildren(whyLink(row.id));
};

const byText = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

// serviceState says in a word how a service stands, and how bad that is.
function serviceState(s) {
  if (s.paused) return ["paused", "warn"];
  if (s.queued > 0 && s.workers === 0) return ["no worker", "bad"];
  if (s.oldest_ms >= longWait) return ["waits long", "warn"];
  if (s.workers === 0) return ["no worker", "none"];
  return ["fine", "none"];
}

const mark = (f) => (td, row) => {
  const [word, kind] = f(row);
  const el = td.firstElementChild ?? td.appendChild(make("span"));
  set(el, word);
  el.className = "mark " + kind;
};

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
      { label: "Workers", fill: text((s) => num(s.workers)), kind: "number" },
      { label: "Ended", fill: text((s) => num(s.done)), kind: "number" },
      { label: "Failed", fill: text((s) => num(s.failed)), kind: "number" },
      { label: "Actions", fill: pauseCell, kind: "do" },
    ],
    key: (s) => s.name,
    compare: (a, b) => b.oldest_ms - a.oldest_ms || b.queued - a.queued || byText(a.name, b.name),
    order: "What has waited longest comes first.",
    empty: "No service is known yet: no worker has offered one, and no request has named one.",
  });
}

// few leaves out what nobody reads.
const few = (names) => (names.length <= 4 ? names : [...names.slice(0, 3), `and ${num(names.length - 3)} more`]);

const settled = (w) => w.state === "up" || w.state === "registered";

export function workersTable() {
  return new Table($("workers"), {
    columns: [
      { label: "Worker", fill: text((w) => w.worker), head: true, kind: "id tight" },
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
    order: "The newest first; at most the last 100.",
    empty: "No request has failed that the broker remembers.",
  });
}

export function deadTable(refresh, ask) {
  const requeue = async (d) => {
    try {
      const { id } = await api.requeue(d.id);
      note(`Queued again: ${d.id} is now `, whyLink(id));
    } catch (err) {
      problem(`Not queued again: ${d.id}.`, err);
    }
    await refresh();
  };
  const drop = async (d) => {
    if (!(await ask(d))) return;
    try {
      await api.drop(d.id);
      note(`Dropped: ${d.id}.`);
    } catch (err) {
      problem(`Not dropped: ${d.id}.`, err);
    }
    await refresh();
  };
  const buttons = (td, d) => {
    if (!td.firstElementChild) {
      const again = action("Requeue", () => requeue(td.row));
      const away = action("Drop…", () => drop(td.row));
      again.setAttribute("aria-label", "Requeue " + d.id);
      away.setAttribute("aria-label", "Drop " + d.id);
      td.append(again, " ", away);
    }
    td.row = d;
  };
  return new Table($("dead"), {
    columns: [
      { label: "Request", fill: link, head: true },
      { label: "Given up", fill: text((d) => span(d.age_ms) + " ago"), kind: "number" },
      { label: "Service", fill: name((d) => d.service) },
      { label: "Outcome", fill: text((d) => d.code), kind: "tight" },
      { label: "Reason", fill: name((d) => d.reason) },
      { label: "Attempts", fill: text((d) => num(d.attempts)), kind: "number" },
      { label: "Workers lost", fill: lines((d) => d.workers ?? []), kind: "id lines" },
      { label: "Size", fill: text((d) => bytes(d.bytes)), kind: "number" },
      { label: "Actions", fill: buttons, kind: "do" },
    ],
    key: (d) => d.id,
    compare: (a, b) => b.age_ms - a.age_ms,
    order: "The oldest first. Requeue sends one out again under a new id.",
    empty: "No dead letters: no request has been given up.",
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

// drawFailureSum says which service fails with what, most first.
export function drawFailureSum(failures) {
  const sums = new Map();
  for (const f of failures) {
    const k = `${visible(f.service)}: ${f.code}`;
    sums.set(k, (sums.get(k) ?? 0) + 1);
  }
  const most = [...sums].sort((a, b) => b[1] - a[1]);
  const p = $("failures-sum");
  p.hidden = most.length === 0 || failures.length < 4;
  const said = most.slice(0, 4).map(([k, n]) => `${num(n)} × ${k}`);
  if (most.length > 4) said.push(`and ${num(most.length - 4)} more kinds`);
  set(p, said.join(" · "));
}

// some lists the first services of a list, and counts the others.
function some(list, say, rest) {
  const out = list.slice(0, 3).map((s) => [say(s), "#services"]);
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
  const fresh = failures.filter((f) => view.brokerNow - Date.parse(f.at) < 60_000).length;
  const bad = [];
  const warn = [];
  if (status.draining) bad.push(["The broker is draining: it takes no new requests.", "#status-title"]);
  if (status.loop_lag_ms >= longLag) bad.push([`The broker itself is slow: its loop lags by ${span(status.loop_lag_ms)}.`, "#status-title"]);
  if (view.lost > 0) bad.push([`${count(view.lost, "worker")} lost in the last 5 minutes.`, "#workers"]);
  if (silent) bad.push([`${count(silent, "worker has", "workers have")} gone silent.`, "#workers"]);
  if (fresh) bad.push([`${fresh >= 100 ? "100 or more" : num(fresh)} failed in the last minute.`, "#failures"]);
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
