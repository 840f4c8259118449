package sim

import "time"

// drains (G14): a worker that is told to stop has gone when its handlers have
// had their time, and a broker that does not answer has had its own.
func (o *oracle) drains(p *workerProcess) {
	w := o.w
	wait := w.plan.drainTimeout + max(o.silence(), sessionSilence) + time.Second
	o.mustEnd(&p.process, wait, "what it was to finish or hand back is with it still")
}

// sessionSilence is what a worker waits for a broker that it has not heard of.
const sessionSilence = 3 * time.Second

// mustEnd looks at whether p has ended after wait, not counting what it stood
// still.
func (o *oracle) mustEnd(p *process, wait time.Duration, what string) {
	w, from := o.w, o.w.now
	w.after(wait, func() {
		switch {
		case !p.alive:
		case p.frozen > from:
			o.mustEndAfter(p, wait, what)
		default:
			w.fail("G14: %s was told to stop %v ago: %s", p.name, wait, what)
		}
	})
}

// mustEndAfter looks again, once p goes on.
func (o *oracle) mustEndAfter(p *process, wait time.Duration, what string) {
	o.w.at(p.frozen, func() { o.mustEnd(p, wait, what) })
}

// drained: a worker has gone in good order. What it had started has ended, or
// it was told to end.
func (o *oracle) drained(p *workerProcess) {
	o.checked(g14)
	for _, r := range p.runs {
		if r.running() && !r.told {
			o.w.fail("G14: %s has gone, and its handler of %s was not told", p.name, r.request.name)
		}
	}
}
