// The dead letters: what they are, what is in them, and one or many queued again or
// dropped.

import * as api from "./api.js";
import { lines, link, name } from "./cells.js";
import { note, problem } from "./notes.js";
import { Table, action, text } from "./table.js";
import { $, bytes, count, make, num, set, span, visible, whyLink } from "./text.js";

const shown = 4096; // bytes of each frame

// readable is the beginning of a frame: as text if it is some, else in hexadecimal.
function readable(base64) {
  const raw = atob(base64);
  const part = Uint8Array.from(raw.slice(0, shown), (c) => c.charCodeAt(0));
  const more = raw.length > shown ? `\n… of ${bytes(raw.length)}` : "";
  try {
    // The cut may have gone through a letter: then the end is left out, not an error.
    const said = new TextDecoder("utf-8", { fatal: true }).decode(part, { stream: raw.length > shown });
    if (!/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/.test(said)) return said.replace(/[^\n\t]+/g, visible) + more;
  } catch {
    // no text
  }
  return [...part].map((b, i) => b.toString(16).padStart(2, "0") + (i % 16 === 15 ? "\n" : " ")).join("").trimEnd() + more;
}

async function showBody(d) {
  try {
    const whole = await api.deadLetter(d.id);
    set($("body-title"), `Body of ${d.id}`);
    set($("body-about"), `${visible(d.service)}, ${bytes(d.bytes)} in ${count((whole.frames ?? []).length, "frame")}`);
    $("body-frames").replaceChildren(...(whole.frames ?? []).map((f) => make("pre", f ? readable(f) : "(empty)", { tabindex: "0" })));
    $("body").showModal();
  } catch (err) {
    problem(`The body of ${d.id} cannot be shown.`, err);
  }
}

export function deadTable(refresh, ask) {
  const chosen = new Set(); // ids
  let list = [];

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
    const gone = `${d.id}, for ${visible(d.service)}, will be gone for good: nobody can send it again.`;
    if (!(await ask("Drop this dead letter?", gone, "Drop it"))) return;
    try {
      await api.drop(d.id);
      note(`Dropped: ${d.id}.`);
    } catch (err) {
      problem(`Not dropped: ${d.id}.`, err);
    }
    await refresh();
  };

  // many does to all that are chosen what one call does; it stops at the first that
  // fails, unless that one is gone.
  const many = async (call, said) => {
    const ids = list.map((d) => d.id).filter((id) => chosen.has(id));
    let done = 0;
    let failed = null;
    for (const id of ids) {
      try {
        await call(id);
        done++;
        chosen.delete(id);
      } catch (err) {
        chosen.delete(id);
        if (err.status === 404) continue;
        chosen.add(id);
        failed = err;
        break;
      }
    }
    if (done) note(`${said}: ${count(done, "dead letter")}.`);
    if (failed) problem(`${said}: ${num(done)} of ${num(ids.length)}.`, failed);
    await refresh();
  };
  const all = make("button", "Choose all", { type: "button" });
  const again = action("", () => many(api.requeue, "Queued again"));
  const away = action("", async () => {
    const n = count(chosen.size, "dead letter");
    if (await ask(`Drop ${n}?`, `${n} will be gone for good: nobody can send them again.`, "Drop them")) await many(api.drop, "Dropped");
  });
  all.addEventListener("click", () => {
    if (chosen.size === list.length) chosen.clear();
    else for (const d of list) chosen.add(d.id);
    table.update(list);
    tools();
  });
  const tools = () => {
    set(all, list.length > 0 && chosen.size === list.length ? "Choose none" : `Choose all ${num(list.length)}`);
    set(again, `Requeue ${num(chosen.size)}`);
    set(away, `Drop ${num(chosen.size)}…`);
    all.hidden = list.length < 2;
    again.hidden = away.hidden = chosen.size === 0;
  };
  $("dead-tools").append(all, again, away);

  const box = (td, d) => {
    let input = td.firstElementChild;
    if (!input) {
      input = make("input", undefined, { type: "checkbox", "aria-label": "Choose " + d.id });
      input.addEventListener("change", () => {
        if (input.checked) chosen.add(d.id);
        else chosen.delete(d.id);
        tools();
      });
      td.append(input);
    }
    input.checked = chosen.has(d.id);
  };
  const buttons = (td, d) => {
    if (!td.firstElementChild) {
      for (const [label, does, long] of [["Body", showBody, "Body of "], ["Requeue", requeue, "Requeue "], ["Drop…", drop, "Drop "]]) {
        const b = action(label, () => does(td.row));
        b.setAttribute("aria-label", long + d.id);
        td.append(b, " ");
      }
    }
    td.row = d;
  };
  const table = new Table($("dead"), {
    columns: [
      { label: "", fill: box, kind: "tight" },
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
  return {
    update(next) {
      list = next;
      const there = new Set(list.map((d) => d.id));
      for (const id of chosen) if (!there.has(id)) chosen.delete(id);
      table.update(list);
      tools();
    },
  };
}
