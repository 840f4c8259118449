// The open requests: who waits, for how long, who has it, and a way to withdraw it.

import * as api from "./api.js";
import { byText, link, mark, name } from "./cells.js";
import { note, problem } from "./notes.js";
import { Table, action, text } from "./table.js";
import { $, num, set, span, visible, whyLink } from "./text.js";

export function openTable(refresh, ask) {
  const withdraw = async (r) => {
    const yes = await ask("Cancel this request?", `${r.id}, for ${visible(r.service)}: whoever waits for it gets CANCELLED. ` +
      "A worker that has it is told so, and may have done the work all the same.", "Cancel it");
    if (!yes) return;
    try {
      await api.cancel(r.id);
      note("Cancelled: ", whyLink(r.id));
    } catch (err) {
      problem(`Not cancelled: ${r.id}.`, err);
    }
    await refresh();
  };
  const button = (td, r) => {
    if (!td.firstElementChild) {
      const b = action("Cancel…", () => withdraw(td.row));
      b.setAttribute("aria-label", "Cancel " + r.id);
      td.append(b);
    }
    td.row = r;
  };
  return new Table($("open"), {
    columns: [
      { label: "Request", fill: link, head: true },
      { label: "Age", fill: text((r) => span(r.age_ms)), kind: "number" },
      { label: "State", fill: mark((r) => [r.state === "assigned" && r.started ? "runs" : r.state, "none"]), kind: "tight" },
      { label: "Service", fill: name((r) => r.service) },
      { label: "Worker", fill: text((r) => r.worker || "–"), kind: "id tight" },
      { label: "Held for", fill: text((r) => (r.worker ? span(r.held_ms) : "–")), kind: "number" },
      { label: "Attempt", fill: text((r) => (r.attempt ? num(r.attempt) : "–")), kind: "number" },
      { label: "Deadline in", fill: text((r) => span(r.left_ms)), kind: "number" },
      { label: "Actions", fill: button, kind: "do" },
    ],
    key: (r) => r.id,
    compare: (a, b) => b.age_ms - a.age_ms || byText(a.id, b.id),
    order: "The oldest first.",
    empty: "No request is open.",
    counted: false,
  });
}

// drawOpenSum says how many there are, where not all of them are listed.
export function drawOpenSum(list, open) {
  const p = $("open-sum");
  p.hidden = !list.more;
  set(p, list.more ? `The oldest ${num(list.requests.length)} of ${num(open)}; privateer requests finds others.` : "");
}
