package sim

import (
	"bytes"
	"fmt"
	"time"

	"github.com/privateer-mq/privateer/internal/clientcore"
	"github.com/privateer-mq/privateer/internal/workercore"
	"github.com/privateer-mq/privateer/protocol"
)

const (
	causeDrain     = workercore.CauseDrain
	causeLease     = workercore.CauseLease
	causeWithdrawn = workercore.CauseWithdrawn

	slack = 60 * time.Millisecond // of clocks that run at their own speed, and of turns
)

// fail notes the first broken promise.
func (w *world) fail(format string, args ...any) {
	if w.failed == nil {
		w.failed = fmt.Errorf("at %v: %s", w.now, fmt.Sprintf(format, args...))
		w.broken = brokenPromise(format)
		w.note("BROKEN: %v", w.failed)
	}
}

// asks: a client begins a call.
func (o *oracle) asks(c *call) {
	q := c.request
	o.w.note("%s asks for %s, budget %v, timeout %v, generous %t", c.client.name, q.name, c.budget, c.timeout, c.generous)
	o.mustEndBy(c)
}

// mustEndBy plans the look at whether c hangs (G1).
func (o *oracle) mustEndBy(c *call) {
	limit := o.limit(c)
	o.w.at(limit+time.Microsecond, func() {
		o.checked(g1)
		switch {
		case c.outcome != nil || !c.client.alive:
		case o.limit(c) > limit || c.client.isFrozen():
			o.mustEndBy(c)
		default:
			o.w.fail("G1: %s has no outcome of %s, %v after its deadline", c.client.name, c.request.name, o.w.now-c.deadline)
		}
	})
}

// limit is when c must have its outcome.
func (o *oracle) limit(c *call) time.Duration {
	beat := max(o.w.plan.core.Heartbeat, clientcore.HeartbeatDefault)
	at := c.deadline + beat + clientcore.VerdictGrace + slack
	if c.frozenAt > 0 {
		at = max(at, c.frozenAt+beat+slack)
	}
	return max(at, c.client.frozen+beat+slack)
}

// completed: a call has its outcome.
func (o *oracle) completed(c *call, out *clientcore.Outcome) {
	w := o.w
	if c == nil || c.outcome != nil {
		w.fail("G1: a second outcome %v of %v", out.Code, out.ID)
		return
	}
	own := *out
	c.outcome = &own
	o.checked(g1)
	q := c.request
	o.outcomes[out.Code]++
	w.note("%s hears of %s: %v %v, tries %d", c.client.name, q.name, out.Code, out.Certainty, out.Tries)
	w.digest(uint64(w.now), uint64(out.Code), uint64(out.Certainty), uint64(len(q.runs)))
	if w.now > o.limit(c) {
		w.fail("G1: the outcome of %s came %v after its deadline", q.name, w.now-c.deadline)
	}
	o.checkCertainty(c, out)
	switch out.Code {
	case protocol.OK:
		o.checkReply(c, out)
	case protocol.Expired:
		stood := o.brokerStops(c.started, w.now) // it cannot know how much of that a request has waited
		if w.now < c.deadline-slack-o.stepped(0)-stood && len(q.calls) == 1 {
			w.fail("outcome: %s expired %v before its deadline", q.name, c.deadline-w.now)
		}
	}
	if c.generous && !q.once {
		o.checkGenerous(c, out)
	}
	o.sawOutcome(c, out)
}

// checkCertainty: what an outcome says of runs must be true, now and later.
func (o *oracle) checkCertainty(c *call, out *clientcore.Outcome) {
	q := c.request
	o.checked(gTruth)
	switch {
	case out.Certainty == protocol.NotStarted && len(q.runs) > 0 && len(q.calls) == 1:
		o.w.fail("outcome: %s: %v, not-started, but it was started", q.name, out.Code)
	case out.Certainty == protocol.Ran && len(q.runs) == 0:
		o.w.fail("outcome: %s: %v, ran, but it was never started", q.name, out.Code)
	case out.Certainty == protocol.CertaintyNone:
		o.w.fail("outcome: %s: %v without certainty", q.name, out.Code)
	}
}

// checkReply (G6, G7): the reply is that of a run of this request.
func (o *oracle) checkReply(c *call, out *clientcore.Outcome) {
	o.checked(g7)
	for _, r := range c.request.runs {
		if r.how == "ok" && r.isReply(out.Body) {
			if o.w.given.Handle == nil && string(out.Meta) != string(c.request.deed.meta) {
				o.w.fail("G7: the reply of %s has other headers: %q", c.request.name, out.Meta)
			}
			o.checkParts(c, r, out)
			return
		}
	}
	o.w.fail("G7: %s got a reply of something else: %q", c.request.name, out.Body)
}

// checkGenerous (G2, G11): an at-least-once request whose client lives and can
// wait ends well, or for a reason that lies in itself.
func (o *oracle) checkGenerous(c *call, out *clientcore.Outcome) {
	q, w := c.request, o.w
	o.checked(g2)
	if len(o.starts) > 1 && c.started < o.starts[len(o.starts)-1].from {
		o.checked(g11)
	}
	ok := false
	switch out.Code {
	case protocol.OK:
		ok = true
	case protocol.Failed:
		ok = q.deed.fails || q.deed.retries > 0 || q.deed.mangled || out.Retryable
	case protocol.Timeout:
		ok = w.plan.taskTimeout > 0 && (q.deed.parts > 0 || q.deed.takes >= w.plan.taskTimeout-slack || o.wasFrozen(q) || o.stepped(c.started) > 0) || w.plan.core.Lease > 0 && len(q.runs) > 0
	case protocol.WorkerLost:
		ok = q.dead >= w.plan.core.MaxAttempts
	case protocol.NoService:
		ok = c.noWait
	case protocol.Overloaded:
		ok = w.plan.tight
	case protocol.Gone:
		ok = w.plan.tight || len(o.starts) > 1 || q.window > 0 && len(q.calls) > 1
	case protocol.Invalid:
		ok = w.plan.tight || !w.plan.fits(q)
	case protocol.Unknown: // as EXPIRED, but its broker was told of a later deadline, by another client or a copy that crawled
		ok = w.plan.tight && q.wanted > c.deadline
	case protocol.Expired: // another client asked for it as well, and not for so long; or too much was to do
		ok = len(q.calls) > 1 || w.plan.tight || q.outranLease() || o.crowded(c)
	case protocol.Cancelled: // another has withdrawn it, or an operator
		ok = len(q.calls) > 1 || q.operated
	}
	if !ok {
		w.fail("G2: %s, at least once, ended as %v (%v): %s", q.name, out.Code, out.Certainty, out.Text+out.Meta.Get(protocol.MetaErrorText))
	}
}

// started: a handler begins (G3, G4, G5, G8).
func (o *oracle) started(r *run, x *workercore.Run) {
	q, w := r.request, o.w
	w.note("%s starts %s attempt %d epoch %d rerun %t", r.worker.name, q.name, r.attempt, r.epoch, r.rerun)
	if q.once && len(q.runs) > 0 {
		w.fail("G3: %s, at most once, is started a second time", q.name)
	}
	o.sawAgain(r)
	for _, old := range q.runs {
		switch why := o.excuse(old, r); {
		case why == "":
			w.fail("G4: %s is started again, and nothing happened to its run at %s (%s)", q.name, old.worker.name, old.how)
		case !r.rerun && old.how != "retry" && !r.olderThan(old) && !o.forgotten(old, w.now):
			w.fail("G5: %s is started again without MAYBE_RERUN; its first run is excused: %s", q.name, why)
		}
	}
	for _, c := range q.calls {
		if c.outcome != nil && c.outcome.Certainty == protocol.NotStarted && len(q.calls) == 1 {
			w.fail("outcome: %s is started after %s was told %v, not-started", q.name, c.client.name, c.outcome.Code)
		}
	}
	if late := w.now - q.wanted - q.transit; late > slack && q.wanted > 0 {
		w.fail("G8: %s is started %v after its deadline", q.name, late)
	}
	if string(bytes.Join(x.Frames, nil)) != string(bytes.Join(q.body, nil)) {
		w.fail("G7: %s runs with another body", q.name)
	}
	if string(x.Meta) != string(q.meta) {
		w.fail("G7: %s runs with other headers", q.name)
	}
	q.runs = append(q.runs, r)
	o.sawStart(r)
}

func (o *oracle) ended(r *run) { o.w.note("%s ends %s: %s", r.worker.name, r.request.name, r.how) }

// runCancelled: the context of r ends before its time. A lease must be over: what
// the handler did since then cannot have come to the broker.
func (o *oracle) runCancelled(r *run) {
	w := o.w
	w.note("%s cancels %s: %v", r.worker.name, r.request.name, r.toldBy)
	if r.toldBy != causeLease || r.left {
		return
	}
	o.checked(g13)
	for _, at := range r.moved {
		idle := w.now - at
		if idle < w.plan.core.Lease-slack-o.stepped(at) && !o.apart(r.worker.seat, at, w.now, 1) {
			w.fail("G13: the lease of %s ended %v after a progress that its broker must have heard of, want %v", r.request.name, idle, w.plan.core.Lease)
			return
		}
	}
}

// brokerReadsClient: a REQUEST or CANCEL has reached the core.
func (o *oracle) brokerReadsClient(b *broker, p *packet, m *protocol.Message) {
	o.w.digest(uint64(o.w.now), uint64(m.Command), uint64(m.Number), uint64(p.conn.number))
	if q := o.byID[m.ID]; q != nil && m.Command == protocol.Request {
		own := o.ownDeadline(b, p, m)
		for _, r := range q.runs {
			if o.w.now < r.wanted+o.w.plan.core.Heartbeat-o.brokerStepped(r.started) { // the id is still remembered
				r.wanted = max(r.wanted, own)
			}
		}
		o.read, q.wanted = own, max(q.wanted, own) // also of one that is refused: its client may ask again
		q.takesInterest(o.w.now, m)
	}
	o.sawClient(b, p, m)
}

// takesInterest: a try that a later one has overtaken says nothing of it.
func (q *request) takesInterest(now time.Duration, m *protocol.Message) {
	if m.Number < q.tries[m.Instance] {
		return
	}
	if q.tries == nil {
		q.tries = map[uint64]uint32{}
	}
	q.tries[m.Instance] = m.Number
	if q.interest == nil {
		q.interest = map[uint64]time.Duration{}
	}
	q.interest[m.Instance] = never
	if m.InterestMS > 0 {
		q.interest[m.Instance] = now + time.Duration(m.InterestMS)*time.Millisecond
	}
}

// brokerReadsWorker (G12): no worker holds more than it can run, nor sends more
// than it was told that this broker takes.
func (o *oracle) brokerReadsWorker(b *broker, p *packet, m *protocol.Message) {
	w := o.w
	w.digest(uint64(w.now), uint64(m.Command), uint64(m.Seq), uint64(p.conn.number))
	o.hears(b, p, m)
	if k := o.back[p.conn.s.worker.instance]; k != nil && !k.joining && m.Link == k.link && len(m.Body) > 0 {
		o.checked(g12)
		if n, limit := len(bytes.Join(m.Body, nil)), w.plan.limit(w.brokers); int64(n) > limit {
			w.fail("G12: %s sends a body of %d bytes, over the limit of %d", p.conn.s.name, n, limit)
		}
	}
	busy := 0
	for i := range m.Entries {
		e := &m.Entries[i]
		if e.State <= protocol.Running && !e.Flags.Has(protocol.CtxCancelled) {
			busy++
		}
		if q := o.byID[e.ID]; q != nil && m.Command == protocol.Ready {
			q.wanted = max(q.wanted, p.came+time.Duration(e.RemainingMS)*time.Millisecond)
		}
	}
	if len(m.Entries) > 0 {
		o.checked(g12)
	}
	if busy > w.plan.concurrency {
		w.fail("G12: %s holds %d, with room for %d", p.conn.s.name, busy, w.plan.concurrency)
	}
	o.sawWorker(b, p, m)
}

func (o *oracle) brokerStarted(b *broker) {
	o.starts = append(o.starts, brokerStart{epoch: b.epoch, from: o.w.now, to: never})
	o.book = book{back: map[uint64]*backPeer{}, lines: map[string]*line{}}
	o.w.note("broker starts, epoch %d", b.epoch)
	for _, q := range o.requests {
		q.holds, q.keeper, q.open, q.claims, q.lost, q.told = nil, nil, false, nil, nil, answered{}
		q.at, q.alone, q.lone, q.mine, q.inLine = 0, false, false, 0, false
		clear(q.tries)
		clear(q.interest)
		for _, r := range q.runs { // what only the broker knew is lost
			r.wanted = min(r.wanted, r.asked)
		}
	}
}

func (o *oracle) brokerEnded(*broker) {
	o.starts[len(o.starts)-1].to = o.w.now
	o.w.note("broker ends")
}

func (o *oracle) workerStarted(p *workerProcess) {
	p.since = o.w.now
	o.workers = append(o.workers, p)
	o.w.note("%s starts at seat %d", p.name, p.seat.number)
}

func (o *oracle) workerEnded(p *workerProcess) { o.w.note("%s ends", p.name) }

func (o *oracle) clientEnded(p *clientProcess) { o.w.note("%s ends", p.name) }

// wasFrozen reports whether something happened to a worker while q ran there.
func (o *oracle) wasFrozen(q *request) bool {
	for _, r := range q.runs {
		if r.worker.seat.troubled(r.started, min(r.ended, o.w.now)) > 0 {
			return true
		}
	}
	return false
}

// mustStop (G9): q has its outcome, so whatever still runs for it is told to end,
// soon after its worker is in reach.
func (o *oracle) mustStop(b *broker, q *request) {
	for _, r := range q.runs {
		if r.running() {
			o.mustStopRun(b, r)
		}
	}
}

// mustStopRun looks whether r was told, once it and its broker had a quiet time.
func (o *oracle) mustStopRun(b *broker, r *run) {
	w, from, wait := o.w, o.w.now, 3*o.silence()
	w.after(wait, func() {
		o.checked(g9)
		if !r.running() || r.told || !r.worker.alive || w.broker != b || b.draining || w.now >= r.wanted {
			return
		}
		since := from - o.silence()
		if r.worker.seat.troubled(since, w.now) > 0 || o.brokerStops(since, w.now) > 0 || o.stepped(since) > 0 {
			o.mustStopRun(b, r)
			return
		}
		w.fail("G9: %s has its outcome for %v, and runs on at %s", r.request.name, w.now-r.request.over, r.worker.name)
	})
}
