package sim

import (
	"bytes"
	"fmt"
	"time"

	"github.com/privateer-mq/privateer/internal/calls"
	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/internal/session"
	"github.com/privateer-mq/privateer/protocol"
)

const (
	causeDrain     = session.CauseDrain
	causeLease     = session.CauseLease
	causeWithdrawn = session.CauseWithdrawn

	slack = 60 * time.Millisecond // of clocks that run at their own speed, and of turns
)

// fail notes the first broken promise.
func (w *world) fail(format string, args ...any) {
	if w.failed == nil {
		w.failed = fmt.Errorf("at %v: %s", w.now, fmt.Sprintf(format, args...))
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
	beat := max(o.w.plan.core.Heartbeat, calls.HeartbeatDefault)
	at := c.deadline + beat + calls.VerdictGrace + slack
	if c.frozenAt > 0 {
		at = max(at, c.frozenAt+beat+slack)
	}
	return max(at, c.client.frozen+beat+slack)
}

// completed: a call has its outcome.
func (o *oracle) completed(c *call, out *calls.Outcome) {
	w := o.w
	if c == nil || c.outcome != nil {
		w.fail("G1: a second outcome %v of %v", out.Code, out.ID)
		return
	}
	c.outcome = out
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
		if w.now < c.deadline-slack-o.stepped-stood && len(q.calls) == 1 {
			w.fail("%s expired %v before its deadline", q.name, c.deadline-w.now)
		}
	}
	if c.generous && !q.once {
		o.checkGenerous(c, out)
	}
	o.sawOutcome(c, out)
}

// checkCertainty: what an outcome says of runs must be true, now and later.
func (o *oracle) checkCertainty(c *call, out *calls.Outcome) {
	q := c.request
	switch {
	case out.Certainty == protocol.NotStarted && len(q.runs) > 0 && len(q.calls) == 1:
		o.w.fail("%s: %v, not-started, but it was started", q.name, out.Code)
	case out.Certainty == protocol.Ran && len(q.runs) == 0:
		o.w.fail("%s: %v, ran, but it was never started", q.name, out.Code)
	case out.Certainty == protocol.CertaintyNone:
		o.w.fail("%s: %v without certainty", q.name, out.Code)
	}
}

// checkReply (G6, G7): the reply is that of a run of this request.
func (o *oracle) checkReply(c *call, out *calls.Outcome) {
	for _, r := range c.request.runs {
		if r.how == "ok" && r.isReply(out.Body) {
			o.checkParts(c, r, out)
			return
		}
	}
	o.w.fail("G7: %s got a reply of something else: %q", c.request.name, out.Body)
}

// checkGenerous (G2, G11): an at-least-once request whose client lives and can
// wait ends well, or for a reason that lies in itself.
func (o *oracle) checkGenerous(c *call, out *calls.Outcome) {
	q, w := c.request, o.w
	ok := false
	switch out.Code {
	case protocol.OK:
		ok = true
	case protocol.Failed:
		ok = q.deed.fails || q.deed.retries > 0 || out.Retryable
	case protocol.Timeout:
		ok = w.plan.taskTimeout > 0 && (q.deed.parts > 0 || q.deed.takes >= w.plan.taskTimeout-slack || o.wasFrozen(q) || o.stepped > 0) || w.plan.core.Lease > 0 && len(q.runs) > 0
	case protocol.WorkerLost:
		ok = max(q.losses, q.dead) >= w.plan.core.MaxAttempts
	case protocol.NoService:
		ok = c.noWait
	case protocol.Overloaded:
		ok = w.plan.tight
	case protocol.Gone:
		ok = w.plan.tight || len(o.starts) > 1 || q.window > 0 && len(q.calls) > 1
	case protocol.Invalid:
		ok = w.plan.tight
	case protocol.Unknown: // as EXPIRED, but another client asks for it still, and for longer
		ok = len(q.calls) > 1 && w.plan.tight
	case protocol.Expired: // another client asked for it as well, and not for so long
		ok = len(q.calls) > 1 || w.plan.tight
	case protocol.Cancelled: // its client was out of reach for longer than its interest, or another withdrew it
		ok = len(q.calls) > 1 || q.gaveUp
	}
	if !ok {
		w.fail("G2: %s, at least once, ended as %v (%v): %s", q.name, out.Code, out.Certainty, out.Text+out.Meta.Get(protocol.MetaErrorText))
	}
}

// started: a handler begins (G3, G4, G5, G8).
func (o *oracle) started(r *run, x *session.Run) {
	q, w := r.request, o.w
	w.note("%s starts %s attempt %d epoch %d rerun %t", r.worker.name, q.name, r.attempt, r.epoch, r.rerun)
	if q.once && len(q.runs) > 0 {
		w.fail("G3: %s, at most once, is started a second time", q.name)
	}
	for _, old := range q.runs {
		stale := r.epoch < old.epoch || r.epoch == old.epoch && r.attempt < old.attempt // handed out before
		switch why := o.excuse(old, w.now); {
		case stale && o.outOfReach(r.worker.seat, w.now-2*o.silence()-time.Second, w.now):
		case why == "":
			w.fail("G4: %s is started again, and nothing happened to its run at %s (%s)", q.name, old.worker.name, old.how)
		case !r.rerun && old.how != "retry" && !stale && !o.forgotten(old, w.now):
			w.fail("G5: %s is started again without MAYBE_RERUN; its first run is excused: %s", q.name, why)
		}
	}
	for _, c := range q.calls {
		if c.outcome != nil && c.outcome.Certainty == protocol.NotStarted && len(q.calls) == 1 {
			w.fail("%s is started after %s was told %v, not-started", q.name, c.client.name, c.outcome.Code)
		}
	}
	if late := w.now - q.wanted - q.transit; late > slack && q.wanted > 0 {
		w.fail("G8: %s is started %v after its deadline", q.name, late)
	}
	if string(bytes.Join(x.Frames, nil)) != string(bytes.Join(q.body, nil)) {
		w.fail("G7: %s runs with another body", q.name)
	}
	q.runs = append(q.runs, r)
	o.sawStart(r)
}

func (o *oracle) ended(r *run) { o.w.note("%s ends %s: %s", r.worker.name, r.request.name, r.how) }

// runCancelled: the context of r ends before its time. A lease must be over.
func (o *oracle) runCancelled(r *run) {
	w := o.w
	w.note("%s cancels %s: %v", r.worker.name, r.request.name, r.toldBy)
	lease := w.plan.core.Lease
	idle := w.now - r.moved
	if idle < slack { // it crossed the CANCEL
		idle = w.now - r.before
	}
	_, all := r.worker.seat.troubled(r.moved-lease, w.now, 0)
	if r.toldBy == causeLease && idle < lease-slack-o.stepped && all == 0 {
		w.fail("G13: the lease of %s ended %v after its last progress, want %v", r.request.name, idle, lease)
	}
}

// brokerNotes: the core reports a change of state.
func (o *oracle) brokerNotes(b *broker, e *core.Event) {
	q := o.byID[e.ID]
	w := o.w
	switch e.What {
	case core.EventWorkerLost:
		p := o.worker(e.Worker)
		if p == nil || p.endedAt <= w.now {
			break
		}
		since := 2*o.silence() + reconnectMax + connectTimeout
		if !o.outOfReach(p.seat, w.now-since-o.brokerStood(w.now-since, w.now), w.now) && !w.plan.tight {
			w.fail("G13: worker %s is given up (%s), and nothing happened to it", p.name, e.Reason)
		}
		o.workerGone(e.Worker)
	case core.EventWorkerLeft:
		o.workerGone(e.Worker)
	case core.EventAccepted:
		q.mine, q.losses, q.alone, q.lone = max(q.mine, o.read), 0, false, false
	case core.EventJoined:
		q.mine = max(q.mine, o.read)
	case core.EventReplayed:
		if w.now < q.kept {
			q.kept = max(q.kept, o.read)
		}
	case core.EventFinished:
		q.kept = q.mine
		if e.Code == protocol.Cancelled && q.interest > 0 && w.now >= q.interest-slack-o.stepped {
			q.gaveUp = true
		}
		q.finished, q.at, q.over, q.overCode, q.lone = b.epoch, 0, w.now, e.Code, false
		o.mustStop(b, q)
	case core.EventRequeued:
		q.at, q.lone = 0, false
		if e.Reason == "worker lost" {
			q.losses++
			q.alone = true
		}
		if e.Reason == "lease over" || e.Reason == "handler asked for a retry" {
			q.losses++
		}
	case core.EventDeadLetter:
		q.losses++ // the last one is not noted as requeued
		q.dead = q.losses
	case core.EventKept:
		q.at, q.lone = 0, false
	case core.EventAdopted:
		q.at, q.lone = e.Worker, false
	case core.EventHandedOut:
		o.handedOut(b, q, e)
	}
	o.sawNote(b, q, e)
}

// handedOut (G6, G10): nothing is handed out after its outcome; what has lost a
// worker goes alone.
func (o *oracle) handedOut(b *broker, q *request, e *core.Event) {
	w := o.w
	o.handed++
	if q.finished == b.epoch && w.now < q.kept && q.overCode != protocol.Cancelled {
		w.fail("G6: %s is handed out after its outcome", q.name)
	}
	for _, other := range o.requests {
		if other == q || other.at != e.Worker || other.at == 0 {
			continue
		}
		if q.alone || other.lone {
			w.fail("G10: %s and %s are at worker %c together; one of them has lost a worker", q.name, other.name, rune(e.Worker))
		}
	}
	q.at, q.lone, q.waits = e.Worker, q.alone, w.now
}

// workerGone: the broker takes everything from a worker.
func (o *oracle) workerGone(instance uint64) {
	for _, q := range o.requests {
		if q.at == instance {
			q.at = 0
		}
	}
}

func (o *oracle) worker(instance uint64) *workerProcess {
	for _, s := range o.w.workers {
		if s.process != nil && s.process.instance == instance {
			return s.process
		}
	}
	return nil
}

// brokerReadsClient: a REQUEST or CANCEL has reached the core.
func (o *oracle) brokerReadsClient(b *broker, p *packet, m *protocol.Message) {
	o.w.digest(uint64(o.w.now), uint64(m.Command), uint64(m.Number), uint64(p.conn.number))
	if q := o.byID[m.ID]; q != nil && m.Command == protocol.Request {
		own := p.came + time.Duration(m.RemainingMS)*time.Millisecond
		for _, r := range q.runs {
			if o.w.now < r.wanted+o.w.plan.core.Heartbeat { // the id is still remembered
				r.wanted = max(r.wanted, own)
			}
		}
		o.read, q.wanted, q.interest = own, max(q.wanted, own), 0 // also of one that is refused: its client may ask again
		if m.InterestMS > 0 {
			q.interest = o.w.now + time.Duration(m.InterestMS)*time.Millisecond
		}
	}
	o.sawClient(b, p, m)
}

// brokerReadsWorker (G12): no worker holds more than it can run.
func (o *oracle) brokerReadsWorker(b *broker, p *packet, m *protocol.Message) {
	w := o.w
	w.digest(uint64(w.now), uint64(m.Command), uint64(m.Seq), uint64(p.conn.number))
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
	if busy > w.plan.concurrency {
		w.fail("G12: %s holds %d, with room for %d", p.conn.s.name, busy, w.plan.concurrency)
	}
	o.sawWorker(b, p, m)
}

func (o *oracle) brokerStarted(b *broker) {
	o.starts = append(o.starts, brokerStart{epoch: b.epoch, from: o.w.now, to: never})
	o.w.note("broker starts, epoch %d", b.epoch)
	for _, q := range o.requests {
		q.at, q.losses, q.alone, q.lone, q.mine = 0, 0, false, false, 0
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
	o.w.note("%s starts at seat %d", p.name, p.seat.number)
}

func (o *oracle) workerEnded(p *workerProcess) { o.w.note("%s ends", p.name) }

func (o *oracle) clientEnded(p *clientProcess) { o.w.note("%s ends", p.name) }

// wasFrozen reports whether something happened to a worker while q ran there.
func (o *oracle) wasFrozen(q *request) bool {
	for _, r := range q.runs {
		if _, all := r.worker.seat.troubled(r.started, min(r.ended, o.w.now), 0); all > 0 {
			return true
		}
	}
	return false
}

// mustStop (G9): q has its outcome, so whatever still runs for it is told to end,
// soon after its worker is in reach.
func (o *oracle) mustStop(b *broker, q *request) {
	w := o.w
	for _, r := range q.runs {
		if !r.running() {
			continue
		}
		from, wait := w.now, 3*o.silence()
		w.after(wait, func() {
			_, all := r.worker.seat.troubled(from-o.silence(), w.now, 0)
			quiet := all == 0 && o.brokerStops(from-o.silence(), w.now) == 0 && o.stepped == 0
			if r.running() && !r.told && r.worker.alive && w.broker == b && !b.draining && quiet && w.now < r.wanted {
				w.fail("G9: %s has its outcome since %v, and runs on at %s", q.name, wait, r.worker.name)
			}
		})
	}
}
