// The page's one loop: it asks the broker once a second while somebody looks,
// waits longer when that fails, and stands still while the page is hidden.

import * as api from "./api.js";
import { Chart } from "./chart.js";
import { deadTable } from "./dead.js";
import { startNotes } from "./notes.js";
import { drawOpenSum, openTable } from "./open.js";
import { arrive, reload, startStory } from "./story.js";
import { $, count, num, sentence, set, span, visible } from "./text.js";
import { drawFailureSum, drawStatus, drawTrouble, failuresTable, servicesTable, trouble, workersTable } from "./views.js";

const every = 1000; // ms from poll to poll
const waits = [1000, 2000, 4000, 8000, 15000]; // ms to wait after errors in a row

const view = { brokerNow: Date.now(), lost: 0 };
let timer; // of the next poll
let polling = null; // the AbortController of the one that runs
let again = false; // poll once more right after it
let errors = 0;
let nextAt = 0; // when the next poll is due, after an error
let seenAt = 0; // when the data came
let before = null; // the last status, to tell what has changed
let losses = []; // [{at, n}]: workers lost, in the last five minutes
const clockNow = () => performance.now();

const tables = {
  services: servicesTable(refresh),
  open: openTable(refresh, askFirst),
  dead: deadTable(refresh, askFirst),
  failures: failuresTable(view),
  workers: workersTable(),
};

const rate = new Chart($("rate"), {
  lines: [{ key: "bad", class: "line-bad" }, { key: "ok", class: "line-ok" }],
  unit: () => ({ name: "requests per second", by: 1 }),
  summary: (p) => `Requests ended per second, last five minutes. ${p.length ? `Now ${p.at(-1).ok.toFixed(1)} OK, ${p.at(-1).bad.toFixed(1)} otherwise.` : ""}`,
});
const wait = new Chart($("wait"), {
  lines: [{ key: "age", class: "line-age" }],
  unit: (top) => (top < 120_000 ? { name: "seconds", by: 1000 } : { name: "minutes that it has waited", by: 60_000 }),
  summary: (p) => `Age of the oldest request in a queue, last five minutes. ${p.length ? `Now ${span(p.at(-1).age)}.` : ""}`,
});

async function poll() {
  clearTimeout(timer);
  if (document.hidden || $("token").open) return;
  if (polling) {
    again = true;
    return;
  }
  polling = new AbortController();
  const begin = clockNow();
  let pause = every;
  try {
    draw(await api.all(polling.signal));
    reload(false);
    const took = clockNow() - begin;
    pause = Math.max(every - took, took); // at most half of the time: a big broker's answers are long
  } catch (err) {
    if (polling.signal.aborted) pause = 0;
    else if (err.status === 401) {
      polling = null;
      needToken();
      return;
    } else pause = failed(err);
  }
  polling = null;
  if (again) pause = 0;
  again = false;
  nextAt = clockNow() + pause;
  if (!document.hidden) timer = setTimeout(poll, pause);
}

// refresh polls now; what is drawn after it is younger than the call.
function refresh() {
  return poll();
}

function draw(data) {
  const now = clockNow();
  const { status } = data;
  const first = before === null;
  errors = 0;
  seenAt = now;
  view.brokerNow = Date.parse(status.started) + status.uptime_ms; // its clock, not ours
  follow(status, now);
  drawStatus(status);
  tables.services.update(data.services);
  tables.open.update(data.open.requests);
  drawOpenSum(data.open, status.open);
  tables.dead.update(data.dead);
  tables.failures.update(data.failures);
  tables.workers.update(data.workers);
  drawFailureSum(data.failures);
  const n = drawTrouble(trouble(data, view));
  document.title = (n ? `(${n}) ` : "") + "Privateer";
  document.body.classList.remove("stale");
  $("banner").hidden = true;
  set($("banner-text"), "");
  if (first) arrive();
  tick();
}

// follow draws what has changed since the last status.
function follow(status, now) {
  const ended = (s) => {
    const all = Object.values(s.outcomes ?? {}).reduce((a, b) => a + b, 0);
    const ok = s.outcomes?.OK ?? 0;
    return { ok, bad: all - ok };
  };
  const same = before?.status.epoch === status.epoch; // counters begin anew with each broker
  if (same && now - before.at < 10_000) {
    const s = (now - before.at) / 1000;
    const [a, b] = [ended(before.status), ended(status)];
    const ok = Math.max(0, b.ok - a.ok) / s;
    const bad = Math.max(0, b.bad - a.bad) / s;
    rate.add(now, { ok, bad });
    set($("rate-now"), `${num(Math.round(ok + bad))} per second`);
  } else set($("rate-now"), "");
  const lost = same ? status.workers_lost - before.status.workers_lost : 0;
  if (lost > 0) losses.push({ at: now, n: lost });
  losses = losses.filter((l) => now - l.at < 300_000);
  view.lost = losses.reduce((sum, l) => sum + l.n, 0);
  before = { status, at: now };
  wait.add(now, { age: status.queued ? status.oldest_ms : 0 });
  set($("wait-now"), status.queued ? span(status.oldest_ms) : "nothing waits");
  rate.draw(now);
  wait.draw(now);
}

// failed shows the banner, and returns how long to wait.
function failed(err) {
  const pause = waits[Math.min(errors, waits.length - 1)];
  errors++;
  const why = err.status ? `The broker answers, but not as it should: ${sentence(err.message)}` : `Cannot reach the broker. ${err.message}`.trim();
  say(why, "(no answer) ");
  return pause;
}

// say shows the banner: why there are no new data, and from when those are.
function say(why, title) {
  const seen = new Date(Date.now() - (clockNow() - seenAt)).toLocaleTimeString("en-GB");
  set($("banner-text"), `${why} ${before ? `What you see is from ${seen}.` : "There is nothing to show yet."}`);
  set($("banner-next"), "");
  $("banner").hidden = false;
  document.body.classList.add("stale");
  document.title = title + "Privateer";
  tick();
}

// tick says how old the data are.
function tick() {
  if (document.hidden) return;
  const now = clockNow();
  const age = now - seenAt;
  if (before) set($("age"), errors === 0 && age < 2500 ? "Live" : `Data ${span(Math.floor(age / 1000) * 1000)} old`);
  else if (errors) set($("age"), "No data");
  $("age").classList.toggle("bad-text", errors > 0);
  if (errors) {
    const left = Math.ceil((nextAt - now) / 1000);
    set($("banner-next"), polling || left <= 0 ? "Trying…" : `Next try in ${count(left, "second")}.`);
  }
}

// needToken asks for the token. The polls go on once there is one; who closes
// the dialog without one is told how to get it back.
function needToken() {
  const dialog = $("token");
  if (dialog.open) return;
  dialog.returnValue = "";
  set($("token-wrong"), api.hasToken() ? "The broker does not take that token." : "");
  $("token-input").value = "";
  dialog.showModal();
  $("token-input").focus();
}

function startToken() {
  $("token-later").addEventListener("click", () => $("token").close());
  $("token-form").addEventListener("submit", (e) => {
    e.preventDefault();
    api.keepToken($("token-input").value.trim());
    $("token").close("given");
  });
  $("token").addEventListener("close", () => {
    $("token-input").value = "";
    if ($("token").returnValue !== "given") {
      say("This broker answers only who has its token.", "");
      return;
    }
    poll();
    reload(true);
  });
}

// askFirst asks before what cannot be taken back; yes is what the button says.
function askFirst(title, said, yes) {
  const dialog = $("ask");
  const from = document.activeElement;
  set($("ask-title"), title);
  set($("ask-text"), said);
  set($("ask-yes"), yes);
  dialog.returnValue = "keep";
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener("close", () => {
      from?.focus();
      done(dialog.returnValue === "yes");
    }, { once: true });
  });
}

startNotes();
startToken();
startStory();
$("banner-try").addEventListener("click", () => poll());
document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (document.hidden) polling?.abort();
  else poll();
});
addEventListener("online", () => poll());
setInterval(tick, 1000);
poll();
