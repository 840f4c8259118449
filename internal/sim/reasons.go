package sim

import (
	"fmt"
	"time"

	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/protocol"
)

// The reasons of the core to take an attempt back from its worker (G5, G13),
// each looked at in the moment in which it does so: it follows from what the
// broker has heard, and what it has not heard has a cause.

// Reasons, in the core's words.
const (
	whyLost      = "worker lost"
	whyReset     = "link reset"
	whyLease     = "lease over"
	whyLeft      = "worker left"
	whyNowhere   = "never taken"
	whyRetry     = "handler asked for a retry"
	whyBack      = "handed back"
	whyShort     = "handed out with a shorter deadline"
	whyCancelled = "cancelled before"
	whyKeeper    = "the worker that kept its reply was lost"
	whyBody      = "its body is here"
	whyParts     = "nobody has asked for the parts of its reply"
	whyForgotten = "its client has not asked again in its time"
)

const clockSlack = 2 * time.Millisecond // a tick, and the drift of a clock in a few seconds

// takesBack: the core notes that q has left its worker, and waits again.
func (o *oracle) takesBack(b *broker, q *request, e *core.Event) {
	h := q.holds
	switch {
	case e.Reason == whyBody:
		return // nobody held it
	case e.Reason == whyKeeper:
		o.keeperLost(b, q)
		return
	case h == nil:
		o.w.fail("notes: %s waits again (%s), and no worker held it", q.name, e.Reason)
		return
	}
	o.checked(g5)
	if wrong := o.wrong(b, q, h, e.Reason); wrong != "" {
		o.w.fail("%v: %s is taken from %s (%s): %s", promiseNames[blame(e.Reason)].word, q.name, h.p.name, e.Reason, wrong)
	}
	o.giveUp(q, h, e.Reason)
}

// blame is the promise that a wrong reason breaks.
func blame(why string) promise {
	if why == whyLost || why == whyReset || why == whyLease {
		return g13
	}
	return g5
}

// giveUp: h is no longer the broker's.
func (o *oracle) giveUp(q *request, h *holding, why string) {
	h.gaveUp, h.nowhere = why, why == whyNowhere
	switch why {
	case whyLost:
		if !q.alone {
			q.alone, q.aloneAt = true, o.w.now
		}
		q.loses(h)
	case whyLease, whyRetry:
		q.loses(h)
	}
	o.hold(q, nil)
}

// loses counts h against q, once.
func (q *request) loses(h *holding) {
	for _, other := range q.lost {
		if other.is(h.p, h.attempt, h.epoch) {
			return
		}
	}
	q.lost = append(q.lost, h)
}

// wrong says what is wrong with a reason; "" if it is right.
func (o *oracle) wrong(b *broker, q *request, h *holding, why string) string {
	switch why {
	case whyLost:
		return o.notLost(b, h.p)
	case whyReset:
		return o.notDeaf(b, h)
	case whyLease:
		return o.notIdle(b, h)
	case whyNowhere:
		return o.notNowhere(b, q, h)
	case whyLeft:
		if o.reader == h.p && o.reading.Command == protocol.Disconnect {
			return ""
		}
		return "it has not said so"
	case whyParts:
		o.partsLeft(b, q, h)
		return ""
	case whyCancelled:
		if h.answer != nil && h.answer.Code.Final() && h.answer.Flags.Has(protocol.CtxCancelled) {
			return ""
		}
		return "it has not answered so"
	}
	code, known := map[string]protocol.Code{whyRetry: protocol.Retry, whyBack: protocol.HandedBack, whyShort: protocol.Expired}[why]
	switch {
	case !known:
		return "nobody knows this reason"
	case h.answer == nil || h.answer.Code != code:
		return "it has not answered so"
	}
	return ""
}

// notLost says why p may not be given up: its connection is gone for longer
// than the grace, or it was silent for liveness, and could not be heard.
func (o *oracle) notLost(b *broker, p *workerProcess) string {
	k := o.back[p.instance]
	if k == nil {
		return "the broker does not know it"
	}
	if k.lost || o.w.net.goneFor(k) >= graceTime {
		return ""
	}
	if silent := b.running() - k.heard.running; silent < o.silence()-clockSlack {
		return fmt.Sprintf("it was heard %v ago", silent)
	}
	switch {
	case p.endedAt <= o.w.now, o.apart(p.seat, k.heard.at, o.w.now, 1):
		return ""
	case k.acked == 0 && p.seat.troubled(k.heard.at-onTheWay, o.w.now) > 0: // it waits for a WELCOME, and says nothing meanwhile
		return ""
	}
	return fmt.Sprintf("nothing happened to it in %v of the %v since it was heard", o.inReach(p.seat, k.heard.at, o.w.now), o.w.now-k.heard.at)
}

// notDeaf says why the link to h's worker may not be reset under it: for
// liveness it has acknowledged nothing, and could not.
func (o *oracle) notDeaf(b *broker, h *holding) string {
	k := o.back[h.p.instance]
	switch {
	case k == nil:
		return "the broker does not know it"
	case h.seq == 0 || h.seq <= k.acked:
		return "it has acknowledged that"
	case b.running()-k.unacked.running < o.silence()-clockSlack:
		return fmt.Sprintf("it has acknowledged all but the last %v", b.running()-k.unacked.running)
	case h.p.endedAt > o.w.now && !o.apart(h.p.seat, k.unacked.at, o.w.now, 2):
		return fmt.Sprintf("nothing happened to it in %v of the %v since then", o.inReach(h.p.seat, k.unacked.at, o.w.now), o.w.now-k.unacked.at)
	}
	return ""
}

// notIdle says why h's lease is not over.
func (o *oracle) notIdle(b *broker, h *holding) string {
	o.checked(g13)
	switch idle := b.running() - h.moved; {
	case o.w.plan.core.Lease == 0 || h.claimed:
		return "it has no lease"
	case h.moved == 0:
		return "it has not started"
	case idle < o.w.plan.core.Lease-clockSlack:
		return fmt.Sprintf("its last progress was %v ago", idle)
	}
	return ""
}

// notNowhere says why h has not been lost on the way: it was delivered, and no
// list of its worker that could have it lacks it; or it has been started.
func (o *oracle) notNowhere(b *broker, q *request, h *holding) string {
	for _, r := range q.runs {
		if h.is(r.worker, r.attempt, r.epoch) && r.started >= h.from { // not in an earlier life of the id
			return "it was started there"
		}
	}
	if h.undelivered {
		return ""
	}
	k := o.back[h.p.instance]
	switch {
	case o.reader != h.p || k == nil:
		return "its worker has not said so"
	case o.reading.Command != protocol.Ready && h.seq > k.acked && o.reading.Command != protocol.Disconnect:
		return "it may be on its way"
	}
	for i := range o.reading.Entries {
		if e := &o.reading.Entries[i]; e.ID == q.id && !q.spent(b, h, h.p, e) && (e.State <= protocol.Running || h.is(h.p, e.Attempt, e.Epoch)) {
			return "its worker lists it"
		}
	}
	return ""
}

// keeperLost: the worker that has finished q and keeps its reply is lost, or
// does not keep it any more.
func (o *oracle) keeperLost(b *broker, q *request) {
	h := q.keeper
	if h == nil {
		o.w.fail("notes: %s has lost the worker that kept its reply, and none did", q.name)
		return
	}
	said := o.reader == h.p && (o.reading.Command == protocol.Ready || o.reading.Command == protocol.Disconnect || o.reading.ID == q.id)
	if wrong := o.notLost(b, h.p); wrong != "" && !said {
		o.w.fail("G13: %s does not keep the reply of %s any more: %s", h.p.name, q.name, wrong)
	}
	h.gaveUp, q.keeper = whyKeeper, nil
}

// workerLost (G13): the core gives a worker up, with all that it holds.
func (o *oracle) workerLost(b *broker, e *core.Event) {
	k := o.back[e.Worker]
	if k == nil {
		o.w.fail("notes: a worker %x is lost that the broker does not know", e.Worker)
		return
	}
	o.checked(g13)
	if len(o.back) > 64 {
		o.saw(seenManyWorkers)
	}
	if wrong := o.notLost(b, k.p); wrong != "" {
		o.w.fail("G13: worker %s is given up (%s): %s", k.p.name, e.Reason, wrong)
	}
	k.lost = true
}

// reconnects (G13): a worker gives its broker up, for it has heard nothing for
// liveness. What has kept it from hearing is what excuses its being away.
func (o *oracle) reconnects(p *workerProcess, why string) {
	silence := o.silence()
	if !p.welcomed {
		silence = sessionSilence
	}
	from, beats := o.w.now-silence, 2
	if o.stepped(from) > 0 { // by its clock it was longer
		return
	}
	switch why {
	case "no WELCOME": // one of two messages was lost, whatever came after
		if o.inReach(p.seat, from-onTheWay, o.w.now) < silence {
			beats = o.w.plan.core.Liveness * 100
		}
	case "nothing heard", "messages not acknowledged":
	default:
		return
	}
	o.checked(g13)
	if !o.apart(p.seat, from, o.w.now, beats) {
		o.w.fail("G13: %s gives its broker up (%s), and nothing happened to it in %v of the last %v",
			p.name, why, o.inReach(p.seat, from, o.w.now), silence)
	}
}

// workerLeft: a worker has said good-bye.
func (o *oracle) workerLeft(e *core.Event) {
	k := o.back[e.Worker]
	if k == nil || o.reader != k.p || o.reading.Command != protocol.Disconnect {
		o.w.fail("notes: a worker %x has left, and has not said so", e.Worker)
		return
	}
	k.lost = true
}

// adopts: the core takes a claim of a worker for the attempt that counts.
func (o *oracle) adopts(b *broker, q *request, e *core.Event) {
	k := o.back[e.Worker]
	if k == nil {
		o.w.fail("notes: %s is adopted at a worker that the broker does not know", q.name)
		return
	}
	c := q.claimOf(k.p, e.Attempt)
	if c == nil {
		o.w.fail("notes: %s is adopted at %s, which has not claimed it", q.name, k.p.name)
		return
	}
	if h := q.holds; h != nil {
		switch {
		case h.answer != nil && !h.answer.Code.Final(): // another one runs it still
			why := map[protocol.Code]string{protocol.Retry: whyRetry, protocol.HandedBack: whyBack, protocol.Expired: whyShort}[h.answer.Code]
			o.giveUp(q, h, why)
		case h.over:
			o.giveUp(q, h, whyCancelled)
		default:
			o.w.fail("G4: %s is adopted at %s, and was not taken from %s", q.name, k.p.name, h.p.name)
		}
	}
	o.opens(q, true)
	h := &holding{p: k.p, attempt: c.attempt, epoch: c.epoch, by: b.epoch, from: o.w.now, claimed: true, over: c.cancelled}
	if c.state == protocol.Running {
		h.moved = b.running()
	}
	o.hold(q, h)
}

// keeps: a worker has finished q, and keeps its reply.
func (o *oracle) keeps(b *broker, q *request, e *core.Event) {
	k := o.back[e.Worker]
	var c *claim
	if k != nil {
		c = q.claimOf(k.p, e.Attempt)
	}
	if c == nil || c.state != protocol.Kept {
		o.w.fail("notes: a worker %x keeps the reply of %s, and has not said so", e.Worker, q.name)
		return
	}
	if q.keeper != nil { // another one knows it as well
		o.keeperLost(b, q)
	}
	o.hold(q, nil)
	o.opens(q, true)
	q.keeper = &holding{p: k.p, attempt: c.attempt, epoch: c.epoch, by: b.epoch, from: o.w.now, claimed: true}
	q.past = append(q.past, q.keeper)
}

// givesUp (G10): q has lost so many attempts that it is not tried again.
func (o *oracle) givesUp(b *broker, q *request, e *core.Event) {
	if h := q.holds; h != nil { // the last one
		why := map[protocol.Code]string{protocol.WorkerLost: whyLost, protocol.Timeout: whyLease, protocol.Failed: whyRetry}[e.Code]
		if wrong := o.wrong(b, q, h, why); wrong != "" {
			o.w.fail("G10: %s is given up (%s): %s", q.name, e.Reason, wrong)
		}
		o.giveUp(q, h, why)
	}
	o.checked(g10)
	once := q.once && e.Code == protocol.Failed // it is not tried again in any case
	if q.dead = len(q.lost); !once && q.dead < o.w.plan.core.MaxAttempts {
		o.w.fail("G10: %s is given up (%s) after it has lost %d of %d attempts", q.name, e.Reason, q.dead, o.w.plan.core.MaxAttempts)
	}
}

// endsLost: q ends because its worker was lost, which must be true. (What has
// lost attempts before holds none: givesUp has looked at that.)
func (o *oracle) endsLost(b *broker, q *request, e *core.Event) {
	h := q.holds
	if h == nil {
		return
	}
	why := ""
	for _, reason := range []string{whyLost, whyReset, whyLeft, whyBack, whyNowhere} {
		if why = o.wrong(b, q, h, reason); why == "" {
			o.giveUp(q, h, reason)
			return
		}
	}
	o.w.fail("G13: %s ends (%s), and %s holds it", q.name, e.Reason, h.p.name)
}
