// A table whose rows stay the same elements from one poll to the next: focus and
// selection survive, and no row moves away under a pointer.

import { make, num, set } from "./text.js";

const fewRows = 25;

export class Table {
  // columns: [{label, fill(td, row), head?, kind?}]; key(row) names a row,
  // compare orders rows, empty is said when there are none.
  constructor(section, { columns, key, compare, order, empty, counted = true }) {
    this.section = section;
    this.columns = columns;
    this.key = key;
    this.compare = compare;
    this.order = order;
    this.emptyText = empty;
    this.rows = new Map(); // key → tr
    this.shown = []; // keys, as they stand
    this.showAll = false;
    this.last = null;

    const title = section.querySelector("h2");
    this.counter = make("span", "", { class: "count" });
    if (counted) title.append(" ", this.counter);
    this.table = make("table", undefined, { role: "table", "aria-labelledby": title.id });
    this.table.hidden = true;
    const head = make("tr", undefined, { role: "row" });
    for (const c of columns) head.append(make("th", c.label, { scope: "col", role: "columnheader", class: c.kind ?? "" }));
    const thead = make("thead", undefined, { role: "rowgroup" });
    thead.append(head);
    this.body = make("tbody", undefined, { role: "rowgroup" });
    this.table.append(thead, this.body);
    this.note = make("p", "Waiting for the broker.", { class: "muted note" });
    this.more = make("button", "", { type: "button", class: "more" });
    this.more.hidden = true;
    this.more.addEventListener("click", () => {
      this.showAll = !this.showAll;
      if (this.last) this.update(this.last);
    });
    section.append(this.note, this.table, this.more);
  }

  // held reports whether somebody is at a row: the order must wait.
  held() {
    return this.body.matches(":hover, :focus-within");
  }

  update(list) {
    this.last = list;
    const byKey = new Map(list.map((row) => [this.key(row), row]));
    let keys = [...byKey.values()].sort(this.compare).map(this.key);
    const held = this.held() && this.shown.length > 0;
    if (held) {
      const stay = this.shown.filter((k) => byKey.has(k));
      const had = new Set(stay);
      keys = stay.concat(keys.filter((k) => !had.has(k)));
    }
    const total = keys.length;
    if (!this.showAll) keys = keys.slice(0, fewRows);
    const keep = new Set(keys);
    for (const [k, tr] of this.rows) {
      if (keep.has(k)) continue;
      this.moveFocus(tr);
      tr.remove();
      this.rows.delete(k);
    }
    let at = this.body.firstElementChild;
    for (const k of keys) {
      let tr = this.rows.get(k);
      if (!tr) {
        tr = this.newRow();
        this.rows.set(k, tr);
      }
      this.columns.forEach((c, i) => c.fill(tr.cells[i], byKey.get(k), tr));
      if (tr === at) at = at.nextElementSibling;
      else this.body.insertBefore(tr, at);
    }
    this.shown = keys;
    this.table.hidden = total === 0;
    set(this.counter, total ? num(total) : "");
    set(this.note, total === 0 ? this.emptyText : held ? "The order waits while you are in the table." : this.order);
    this.more.hidden = total <= fewRows;
    set(this.more, this.showAll ? `Show the first ${fewRows}` : `Show all ${num(total)}`);
  }

  newRow() {
    const tr = make("tr", undefined, { role: "row" });
    for (const c of this.columns) {
      const cell = c.head
        ? make("th", undefined, { scope: "row", role: "rowheader" })
        : make("td", undefined, { role: "cell" });
      if (c.kind) cell.className = c.kind;
      cell.dataset.label = c.label;
      tr.append(cell);
    }
    return tr;
  }

  // moveFocus takes the focus out of a row that goes, to its neighbour's link:
  // to no button, so that a key pressed twice does nothing to another row.
  moveFocus(tr) {
    if (!tr.contains(document.activeElement)) return;
    const near = tr.nextElementSibling ?? tr.previousElementSibling;
    (near?.querySelector("a") ?? this.section.querySelector("h2")).focus();
  }
}

// text returns a fill that writes what f says of a row.
export const text = (f) => (td, row) => set(td, f(row));

// action returns a button that calls do() once at a time.
export function action(label, does) {
  const b = make("button", label, { type: "button" });
  b.addEventListener("click", async () => {
    if (b.getAttribute("aria-disabled") === "true") return;
    b.setAttribute("aria-disabled", "true");
    try {
      await does();
    } finally {
      b.removeAttribute("aria-disabled");
    }
  });
  return b;
}
