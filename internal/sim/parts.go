package sim

import (
	"bytes"
	"fmt"
	"time"

	"github.com/privateer-mq/privateer/internal/clientcore"
	"github.com/privateer-mq/privateer/internal/workercore"
)

// Replies in parts: handlers that make them, and callers who take them.

// A taking is what a call has got of its reply.
type taking struct {
	n   uint32 // parts that came, of the run whose reply it is
	run string
}

// nextPart lets r's handler go on after a while: with a part, or with its end.
// It is told of the end of its context when it makes one, as SendPart's error.
func (p *workerProcess) nextPart(r *run) {
	d := &r.request.deed
	p.finishAt(r, p.w.now+d.takes/time.Duration(d.parts+1), func() {
		if r.made == d.parts || r.told {
			p.returns(r)
			return
		}
		r.made++
		r.sending = true
		r.untaken = append(r.untaken, trouble{from: p.w.now, to: never})
		p.notices = append(p.notices, notice{run: r, part: [][]byte{r.part(r.made)}})
		p.wake()
	})
}

// part is the body of r's n-th part.
func (r *run) part(n int) []byte { return fmt.Appendf(nil, "%s, part %d", r.body, n) }

// taken: r's handler no longer waits for its last part.
func (r *run) taken() {
	r.sending = false
	r.untaken[len(r.untaken)-1].to = r.worker.w.now
	r.moves()
}

// partTaken lets the handler go on that waits for that.
func (p *workerProcess) partTaken(o *workercore.Output) {
	for _, r := range p.runs {
		if r.request.id == o.Fence.ID && r.sending {
			if o.Kind == workercore.PartRefused {
				p.partRefused(r)
				return
			}
			r.taken()
			p.nextPart(r)
		}
	}
}

// takesPart: a part has come to a call. Parts come in order, none is missing and
// none comes twice; but another run begins again, and says so.
func (o *oracle) takesPart(c *call, part *clientcore.PartOf) {
	t := &c.taking
	o.checked(gParts)
	if part.Restarted {
		o.saw(seenPartsAgain)
		*t = taking{}
	}
	if part.Number != t.n+1 {
		o.w.fail("parts: %s got part %d after %d of %q", c.request.name, part.Number, t.n, t.run)
	}
	t.n = part.Number
	text := string(bytes.Join(part.Body, nil))
	for _, r := range c.request.runs {
		if text == string(r.part(int(t.n))) && (t.run == "" || t.run == r.body) {
			t.run = r.body
			return
		}
	}
	o.w.fail("parts: %s got %q as part %d, after parts of %q", c.request.name, text, t.n, t.run)
}

// checkParts: a whole reply has all its parts, be it in parts or as one.
func (o *oracle) checkParts(c *call, r *run, out *clientcore.Outcome) {
	if out.Parts == 0 { // what came before is of a run that has no end
		c.taking = taking{}
	}
	if c.request.window > 0 {
		o.checked(gParts)
	}
	if c.request.window > 0 && (int(c.taking.n) != r.made || r.made > 0 && c.taking.run != r.body) {
		o.w.fail("parts: %s ends with %d parts of %q, want %d of %q", c.request.name, c.taking.n, c.taking.run, r.made, r.body)
	}
	if r.made > 0 && c.request.window > 0 {
		o.saw(seenParts)
	}
}

// partsLeft (G13): a broker takes back a run that waits for a client. It may do so
// only where none has asked it, for as long as one may need to come back.
func (o *oracle) partsLeft(b *broker, q *request, h *holding) {
	w := o.w
	if early := h.from + w.plan.core.RecoveryWindow - slack - o.stepped(h.from); q.askedOf == b.epoch || w.now < early {
		w.fail("G13: the run of %s is taken back, and its client may come", q.name)
	}
	for _, r := range q.runs {
		r.left = r.left || r.worker == h.p && r.made > 0
	}
}

// consume lets the caller take a part, at once or after a while.
func (p *clientProcess) consume(c *call) {
	wait := p.w.upTo(2 * time.Millisecond)
	if p.w.chance(20) {
		wait = p.w.upTo(time.Second)
	}
	p.w.after(wait, func() {
		if p.alive && c.outcome == nil {
			p.commands = append(p.commands, func() { p.out = p.machine.Consumed(c.key, p.out) })
			p.wake()
		}
	})
}
