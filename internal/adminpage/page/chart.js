// Two small charts of the last five minutes, drawn as SVG. They hold what this
// page has seen; the broker keeps no history.

export const minutes = 5;
const windowMS = minutes * 60_000;
const gapMS = 10_000; // points further apart are not joined: nobody has looked

const ns = "http://www.w3.org/2000/svg";

function svg(tag, attrs, text) {
  const el = document.createElementNS(ns, tag);
  for (const [k, v] of Object.entries(attrs)) el.setAttribute(k, v);
  if (text !== undefined) el.textContent = text;
  return el;
}

// nice returns a round number that is at least max: 1, 2 or 5 times a power of ten.
export function nice(max) {
  if (!(max > 0)) return 1;
  const ten = 10 ** Math.floor(Math.log10(max));
  return [1, 2, 5, 10].map((f) => f * ten).find((v) => v >= max * 0.999);
}

const label = (v) => (v >= 1000 ? `${+(v / 1000).toFixed(1)}k` : String(+v.toFixed(2)));

export class Chart {
  // lines: [{key, class}]; unit(top) returns the axis' name and what to divide by.
  constructor(box, { lines, unit, summary }) {
    this.box = box;
    this.lines = lines;
    this.unit = unit;
    this.summary = summary;
    this.points = [];
    this.seen = performance.now();
    this.root = svg("svg", { role: "img" });
    box.append(this.root);
    new ResizeObserver(() => this.draw(this.seen)).observe(box);
  }

  // add notes the values at a time; draw shows them.
  add(now, values) {
    this.points.push({ at: now, ...values });
  }

  draw(now) {
    this.seen = now;
    while (this.points.length && this.points[0].at < now - windowMS) this.points.shift();
    const width = Math.floor(this.box.clientWidth);
    if (width < 100) return;
    const height = 180;
    const area = { left: 52, right: width - 14, top: 22, bottom: height - 38 };
    const top = Math.max(0, ...this.points.flatMap((p) => this.lines.map((l) => p[l.key])));
    const { name, by } = this.unit(top);
    const max = nice(top / by);
    const x = (at) => area.right - ((now - at) / windowMS) * (area.right - area.left);
    const y = (v) => area.bottom - (v / by / max) * (area.bottom - area.top);
    const out = [svg("text", { x: 4, y: 12, class: "axis" }, name)];
    for (let i = 0; i <= 2; i++) {
      const v = (max * i) / 2;
      const at = y(v * by);
      out.push(svg("line", { x1: area.left, x2: area.right, y1: at, y2: at, class: i ? "grid" : "base" }));
      out.push(svg("text", { x: area.left - 6, y: at + 4, class: "axis", "text-anchor": "end" }, label(v)));
    }
    for (let m = 0; m <= minutes; m++) {
      const at = x(now - m * 60_000);
      out.push(svg("line", { x1: at, x2: at, y1: area.bottom, y2: area.bottom + 4, class: "base" }));
      out.push(svg("text", { x: at, y: area.bottom + 17, class: "axis", "text-anchor": m ? "middle" : "end" }, m ? `−${m}` : "now"));
    }
    out.push(svg("text", { x: (area.left + area.right) / 2, y: height - 4, class: "axis", "text-anchor": "middle" }, "minutes"));
    for (const l of this.lines) {
      for (const run of this.runs()) {
        const d = run.map((p, i) => `${i ? "L" : "M"}${x(p.at).toFixed(1)} ${y(p[l.key]).toFixed(1)}`).join("");
        // A single point is a line to itself: round ends make it a dot.
        out.push(svg("path", { d: run.length > 1 ? d : d + "h0", class: "curve " + l.class }));
      }
    }
    this.root.setAttribute("width", width);
    this.root.setAttribute("height", height);
    this.root.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.root.setAttribute("aria-label", this.summary(this.points));
    this.root.replaceChildren(...out);
  }

  // runs returns the points, cut where too long a time lies between two.
  runs() {
    const out = [];
    for (const p of this.points) {
      const run = out.at(-1);
      if (run && p.at - run.at(-1).at <= gapMS) run.push(p);
      else out.push([p]);
    }
    return out;
  }
}
