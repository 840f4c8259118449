package sim

import (
	"bytes"
	"fmt"
	"time"

	"github.com/privateer-mq/privateer/internal/calls"
	"github.com/privateer-mq/privateer/internal/session"
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
		r.before, r.moved, r.sending = r.moved, p.w.now, true
		p.notices = append(p.notices, notice{run: r, part: [][]byte{r.part(r.made)}})
		p.wake()
	})
}

// part is the body of r's n-th part.
func (r *run) part(n int) []byte { return fmt.Appendf(nil, "%s, part %d", r.body, n) }

// partTaken lets the handler go on that waits for that.
func (p *workerProcess) partTaken(o *session.Output) {
	for _, r := range p.runs {
		if r.request.id == o.Fence.ID && r.sending {
			r.sending = false
			p.nextPart(r)
		}
	}
}

// takesPart: a part has come to a call. Parts come in order, none is missing and
// none comes twice; but another run begins again, and says so.
func (o *oracle) takesPart(c *call, part *calls.PartOf) {
	t := &c.taking
	if part.Restarted {
		o.saw(seenPartsAgain)
		*t = taking{}
	}
	if part.Number == 0 {
		return
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
func (o *oracle) checkParts(c *call, r *run, out *calls.Outcome) {
	if c.request.window > 0 && (int(c.taking.n) != r.made || r.made > 0 && c.taking.run != r.body) {
		o.w.fail("parts: %s ends with %d parts of %q, want %d of %q", c.request.name, c.taking.n, c.taking.run, r.made, r.body)
	}
	if r.made > 0 && c.request.window > 0 {
		o.saw(seenParts)
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
			p.commands = append(p.commands, func(now time.Duration) { p.do(p.machine.Consumed(now, c.key, p.out)) })
			p.wake()
		}
	})
}
