package sim

import (
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/protocol"
)

// The core's notes, which the logs, the metrics and the admin's events are made
// of, against what it sends and what it holds: none may be missing, and none
// may tell what has not happened.

// A callOf is what one call of the core has put out so far.
type callOf struct {
	notes   []core.Event
	cancels []protocol.Message // CANCELs to workers
	expects *request           // that must have its outcome when the call ends ...
	code    protocol.Code      // ... which is this
	joins   *request           // is asked for again
	starts  *request           // has started, by the first that is heard of it
	dropped bool               // what was read
}

// noteCounts are how often the core has noted what it counts as well.
type noteCounts struct {
	Accepted, Replayed, Adopted, LinkResets, WorkersLost, LateRepliesUsed, MaybeReruns, DeadLettered, Stops, Fetches uint64
}

// noted returns the newest note of the call of now about id, of one of some kinds.
func (c *callOf) noted(id protocol.ID, kinds ...core.What) *core.Event {
	for i := len(c.notes) - 1; i >= 0; i-- {
		for _, what := range kinds {
			if c.notes[i].What == what && c.notes[i].ID == id {
				return &c.notes[i]
			}
		}
	}
	return nil
}

// takesNote keeps a note for what follows it in the same call.
func (o *oracle) takesNote(e *core.Event) {
	o.call.notes = append(o.call.notes, *e)
	n := &o.counts
	switch e.What {
	case core.EventAccepted:
		n.Accepted++
	case core.EventReplayed:
		n.Replayed++
	case core.EventAdopted:
		n.Adopted++
	case core.EventLinkReset:
		n.LinkResets++
	case core.EventWorkerLost:
		n.WorkersLost++
	case core.EventRescued:
		n.LateRepliesUsed++
	case core.EventRerun:
		n.MaybeReruns++
	case core.EventDeadLetter:
		n.DeadLettered++
	case core.EventStopped:
		n.Stops++
	}
}

// sends holds a message of the core against the notes before it.
func (o *oracle) sends(b *broker, out *core.Output) {
	m := &out.Msg
	o.checked(gNotes)
	if out.Side == core.Front {
		o.sendsClient(b, m)
		return
	}
	k := o.backByID(string(out.To.ID))
	if k == nil { // a stranger, told to say READY
		if m.Command != protocol.Disconnect {
			o.w.fail("notes: %v goes to a worker that the broker does not know", m.Command)
		}
		return
	}
	if m.Command != protocol.Disconnect {
		if k.acked+1 == m.Seq {
			k.unacked = b.moment()
		}
	}
	switch m.Command {
	case protocol.Request:
		o.sendsRequest(k, m)
	case protocol.Cancel:
		o.call.cancels = append(o.call.cancels, *m)
	case protocol.Welcome:
		if n := len(o.call.notes); n == 0 || o.call.notes[n-1].What != core.EventWorkerReady || o.call.notes[n-1].Worker != k.p.instance {
			o.w.fail("notes: %s is welcome, and that is not noted", k.p.name)
		}
	}
}

func (o *oracle) backByID(id string) *backPeer {
	for _, k := range o.back { // any order: a routing id is one worker's
		if k.id == id {
			return k
		}
	}
	return nil
}

// sendsRequest: a hand-over, or a fetch.
func (o *oracle) sendsRequest(k *backPeer, m *protocol.Message) {
	q := o.byID[m.ID]
	if m.Flags.Has(protocol.ReplayOnly) {
		o.counts.Fetches++
		if h := q.keeper; h == nil || h.p != k.p {
			o.w.fail("notes: %s is asked for the reply of %s, which it is not noted to keep", k.p.name, q.name)
		}
		return
	}
	h := q.holds
	if !h.answers(k.p, m) || h.sent || h.claimed {
		o.w.fail("notes: %s is handed to %s, attempt %d, and that is not noted", q.name, k.p.name, m.Number)
		return
	}
	h.sent, h.seq = true, m.Seq
	if rerun := o.call.noted(m.ID, core.EventRerun) != nil; rerun != m.Flags.Has(protocol.MaybeRerun) {
		o.w.fail("notes: %s is handed out as MAYBE_RERUN: %t, noted: %t", q.name, m.Flags.Has(protocol.MaybeRerun), rerun)
	}
}

// undeliverable: a message could not be sent.
func (o *oracle) undeliverable(b *broker, out *core.Output, gone bool) {
	o.w.note("undeliverable: %v, gone %t", out.Msg.Command, gone)
	if k := o.backByID(string(out.To.ID)); k != nil && out.Msg.Command == protocol.Welcome && out.Msg.Link == k.link {
		k.gapped = true // it says READY again
	}
	if q := o.byID[out.Msg.ID]; q != nil && q.holds != nil && out.Side == core.Back && out.Msg.Command == protocol.Request && q.holds.seq == out.Msg.Seq {
		q.holds.undelivered = true
	}
}

// sendsClient: what a client is told is noted; and of one request, by one
// broker, it is always the same (G6).
func (o *oracle) sendsClient(b *broker, m *protocol.Message) {
	q := o.byID[m.ID]
	switch {
	case q == nil:
		return
	case m.Command == protocol.Accepted:
		if !q.open {
			o.w.fail("notes: a client is told that %s is in hand, and by its notes it is not", q.name)
		}
		return
	case m.Command != protocol.Reply || m.Flags.Has(protocol.Partial):
		return
	}
	e := o.call.noted(m.ID, core.EventFinished, core.EventReplayed, core.EventRefused)
	switch {
	case e == nil && m.Code == protocol.Cancelled && m.Flags.Certainty() == protocol.MaybeStarted: // not its own, or not known
	case e == nil && m.Code == protocol.DrainingNow && b.leaving:
	case e == nil:
		o.w.fail("notes: a client is told %v of %s, and nothing is noted", m.Code, q.name)
	case e.Code != m.Code && !(e.What == core.EventReplayed && m.Code == protocol.Gone):
		o.w.fail("notes: a client is told %v of %s, and noted is %v", m.Code, q.name, e.Code)
	case e.What == core.EventRefused:
	default:
		o.sameOutcome(q, m)
	}
}

// sameOutcome (G6): what a broker answers once, it answers always; but a reply
// may be gone.
func (o *oracle) sameOutcome(q *request, m *protocol.Message) {
	o.checked(g6)
	var h xxhash.Digest
	h.Reset()
	for _, f := range m.Body {
		_, _ = h.Write(f)
	}
	switch sum := h.Sum64(); {
	case q.told.code == protocol.CodeNone || o.w.now >= q.kept-o.brokerStepped(q.lived) && !q.open: // or it may be forgotten
		q.told = answered{m.Code, m.Attempt, sum}
	case m.Code == protocol.Gone && q.told.code != protocol.Gone && o.replayed(m.ID):
	case q.told != answered{m.Code, m.Attempt, sum}:
		o.w.fail("G6: of %s a client is told %v of attempt %d, and another one was told %v of attempt %d",
			q.name, m.Code, m.Attempt, q.told.code, q.told.attempt)
	}
}

func (o *oracle) replayed(id protocol.ID) bool { return o.call.noted(id, core.EventReplayed) != nil }

// answered is what a broker has told of a request.
type answered struct {
	code    protocol.Code
	attempt uint32
	body    uint64 // hash
}

// mustUse (G6): the reply of an attempt is the outcome, if there is none yet,
// also where another attempt runs by now.
func (o *oracle) mustUse(b *broker, p *workerProcess, q *request, m *protocol.Message) {
	switch {
	case !q.open || !m.Code.Final():
	case m.Flags.Has(protocol.CtxCancelled) && m.Code != protocol.OK: // the broker's own cancel is no outcome
	case m.Stream.Part > 0 && !q.holds.answers(p, m): // its parts are of another run
		q.refusesEnd(p, m)
	case m.Epoch == b.epoch && !q.heldSince(p, m): // of an earlier life of the id
	default:
		o.checked(g6)
		o.call.expects, o.call.code = q, m.Code
	}
}

// refusesEnd: the end of a reply in parts comes while another run counts, and its
// worker is told to forget it; the client may have followed this one.
func (q *request) refusesEnd(p *workerProcess, m *protocol.Message) {
	for _, r := range q.runs {
		if r.worker == p && r.attempt == m.Number && r.epoch == m.Epoch {
			r.refused = true
		}
	}
}

// heldSince reports whether the attempt of m has been at p since q is open.
func (q *request) heldSince(p *workerProcess, m *protocol.Message) bool {
	return slices.ContainsFunc(q.past, func(h *holding) bool { return h.answers(p, m) && h.from >= q.opened })
}

// usesReply (G6): q ends by the reply that was read. If that is not of the
// attempt that counts, it is noted so, and that attempt is cancelled.
func (o *oracle) usesReply(q *request, e *core.Event) {
	m, p, h := o.reading, o.reader, q.holds
	if p == nil || m.Command != protocol.Reply || m.ID != q.id || m.Code != e.Code || e.Attempt != m.Number {
		return
	}
	for _, r := range q.runs { // the others' workers are told to forget them
		r.superseded = r.superseded || r.worker != p
	}
	if o.call.expects == q && o.call.code == e.Code {
		o.call.expects = nil
	}
	if h.answers(p, m) || q.keeper != nil && q.keeper.p == p {
		return
	}
	if o.call.noted(q.id, core.EventRescued) == nil {
		o.w.fail("notes: %s ends by a late reply of %s, and that is not noted", q.name, p.name)
	}
	if h == nil || h.p == p {
		return
	}
	if k := o.back[h.p.instance]; k == nil || k.gapped || k.joining {
		return
	}
	for i := range o.call.cancels {
		if c := &o.call.cancels[i]; c.ID == q.id && c.Number == h.attempt && c.Epoch == h.epoch {
			return
		}
	}
	o.w.fail("G6: %s ends by a reply of %s, and the attempt at %s is not cancelled", q.name, p.name, h.p.name)
}

// callEnds: everything that a call of the core has put out is done.
func (o *oracle) callEnds() {
	if q := o.call.expects; q != nil {
		o.w.fail("G6: a reply of %s, %v, is not used, though it has no outcome", q.name, o.call.code)
	}
	if q := o.call.joins; q != nil && !o.call.dropped && o.call.noted(q.id, core.EventJoined, core.EventRefused) == nil {
		o.w.fail("notes: %s is asked for again, and that is not noted", q.name)
	}
	if q := o.call.starts; q != nil && o.call.noted(q.id, core.EventStarted) == nil {
		o.w.fail("notes: %s has started, and that is not noted", q.name)
	}
	for i := range o.call.notes {
		e := &o.call.notes[i]
		q := o.byID[e.ID]
		if e.What == core.EventHandedOut && q.heldAs(e) {
			o.w.fail("notes: %s is handed out, and nothing was sent", q.name)
		}
	}
	for instance, k := range o.back { // any order: nothing follows from it
		if k.lost {
			delete(o.back, instance)
		}
	}
	o.call = callOf{notes: o.call.notes[:0], cancels: o.call.cancels[:0]}
	o.reading, o.reader = nil, nil
}

// heldAs reports whether the hand-over that e notes was not sent.
func (q *request) heldAs(e *core.Event) bool {
	h := q.holds
	return h != nil && h.p.instance == e.Worker && h.attempt == e.Attempt && !h.claimed && !h.sent
}

// leaves reports whether that is the broker's good-bye to everybody.
func (o *oracle) leaves(out []core.Output) bool {
	for i := range out {
		m := &out[i].Msg
		switch {
		case out[i].Kind != core.Send || o.reading != nil && o.reading.Command != protocol.Ready:
		case m.Command == protocol.Disconnect && m.Code == protocol.ReasonShutdown, m.Command == protocol.Reply && m.Code == protocol.DrainingNow:
			return true
		}
	}
	return false
}

// balance: what the broker holds is what its notes say, and so are its counters.
func (o *oracle) balance(b *broker) {
	if b.leaving { // it ends what it holds without a word
		return
	}
	o.checked(gNotes)
	g, c := b.core.Gauges(), b.core.Counters()
	if g.Open != o.open || g.Assigned != o.held || g.Workers != len(o.back) || g.DeadLetters != o.dead {
		o.w.fail("notes: the broker has %d open, %d at workers, %d workers, %d dead letters; by its notes that is %d, %d, %d, %d",
			g.Open, g.Assigned, g.Workers, g.DeadLetters, o.open, o.held, len(o.back), o.dead)
	}
	counted := noteCounts{c.Accepted, c.Replayed, c.Adopted, c.LinkResets, c.WorkersLost, c.LateRepliesUsed, c.MaybeReruns, c.DeadLettered, c.Stops, c.Fetches}
	if counted != o.counts {
		o.w.fail("notes: the broker counts %+v; by its notes that is %+v", counted, o.counts)
	}
}
