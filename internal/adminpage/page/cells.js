// What fills the cells of tables: names, lines, links to a story, marks.

import { make, set, visible, whyLink } from "./text.js";

// name fills a cell with a name from the broker.
export const name = (f) => (td, row) => set(td.firstElementChild ?? td.appendChild(make("bdi")), visible(f(row)));

// lines fills a cell with one line for each text.
export const lines = (f) => (td, row) => {
  const texts = f(row);
  while (td.children.length > texts.length) td.lastElementChild.remove();
  texts.forEach((t, i) => set(td.children[i] ?? td.appendChild(make("div")), visible(t)));
};

// link fills a cell with a link to a request's story, once.
export const link = (td, row) => {
  if (td.textContent !== row.id) td.replaceChildren(whyLink(row.id));
};

export const byText = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

// mark fills a cell with a word and how bad it is: [word, kind].
export const mark = (f) => (td, row) => {
  const [word, kind] = f(row);
  const el = td.firstElementChild ?? td.appendChild(make("span"));
  set(el, word);
  el.className = "mark " + kind;
};
