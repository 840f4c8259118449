// What the person at the page has done, and what came of it: it stays in sight
// at the bottom until it is closed.

import { $, make, sentence } from "./text.js";

const most = 4;

// note adds a line; parts are texts and elements.
export function note(...parts) {
  add(parts, "");
}

// problem adds a line about what could not be done.
export function problem(what, err) {
  add([what, " ", sentence(err.message) || "The broker cannot be reached."], "bad-text");
}

function add(parts, kind) {
  const li = make("li", undefined, kind ? { class: kind } : {});
  li.append(make("span", new Date().toLocaleTimeString("en-GB") + " ", { class: "muted" }), ...parts);
  const list = $("notes-list");
  list.prepend(li);
  while (list.children.length > most) list.lastElementChild.remove();
  $("notes").hidden = false;
}

export function startNotes() {
  $("notes-close").addEventListener("click", () => {
    $("notes").hidden = true;
    $("notes-list").replaceChildren();
    $("main").focus({ preventScroll: true });
  });
}
