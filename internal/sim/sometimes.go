package sim

import (
	"time"

	"github.com/privateer-mq/privateer/internal/clientcore"
	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/internal/workercore"
	"github.com/privateer-mq/privateer/protocol"
)

func (o *oracle) saw(s situation) { o.seen[s]++ }

// A noteSet is what the detectors remember of a request.
type noteSet struct {
	replyLost   bool   // a final REPLY was lost on the way
	retriedAt   uint64 // instance that asked for a retry
	refused     bool   // a client was told not-started of it
	adoptedBy   uint64 // epoch
	acceptedBy  uint64 // epoch that has its body
	lostBy      uint64 // epoch that lost its worker
	resetAt     uint64 // instance whose link was reset under it
	resetRun    uint32 // the attempt
	fetch       uint32 // attempt of the REPLAY_ONLY under way
	dispatchSeq uint32 // of its hand-over
	withdrawn   bool   // its client's CANCEL was taken
}

// linkNotes are what the detectors remember of a connection.
type linkNotes struct {
	replyLost bool
}

// lost: a message died with its connection, or was not sent to anybody.
func (o *oracle) lost(p *packet, dir int) {
	if p.msg == nil || p.conn == nil {
		return
	}
	q := o.byID[p.msg.ID]
	switch {
	case dir == up && p.msg.Command == protocol.Reply && p.msg.Code.Final() && q != nil:
		q.notes.replyLost = true
		o.linkOf(p.conn).replyLost = true
	case dir == down && p.msg.Command == protocol.Request && p.msg.Flags.Has(protocol.ReplayOnly):
		o.saw(seenFetchLost)
	}
}

func (o *oracle) linkOf(c *conn) *linkNotes {
	n := o.links[c]
	if n == nil {
		n = &linkNotes{}
		o.links[c] = n
	}
	return n
}

func (o *oracle) sawOutcome(c *call, out *clientcore.Outcome) {
	n := len(c.sends)
	switch {
	case out.Code == protocol.Gone:
		o.saw(seenGone)
	case out.Code == protocol.Overloaded || out.Code == protocol.DrainingNow || out.Code == protocol.NoService:
		if out.Certainty == protocol.MaybeStarted {
			o.saw(seenRefusalRaised)
		}
	case out.Code == protocol.Expired && out.Certainty == protocol.MaybeStarted && c.request.notes.lostBy != 0:
		o.saw(seenExpiredAfterLoss)
	}
	if n > 1 && c.sends[n-1].interest == 0 && c.sends[n-2].interest > 0 && o.w.now > c.sends[n-2].at+c.sends[n-2].interest {
		o.saw(seenInterestRenewed)
	}
}

// clientNotes: an event of a client's machine.
func (o *oracle) clientNotes(p *clientProcess, out *clientcore.Output) {
	o.w.note("%s: %v", p.name, out.Event)
	if c := p.open[out.Key]; c != nil && out.Event == clientcore.TryCut && len(c.sends) > 1 && c.sends[len(c.sends)-1].interest == 0 {
		o.saw(seenLastTryCut)
	}
}

func (o *oracle) clientSends(p *clientProcess, m *protocol.Message) {
	if m.Command != protocol.Request {
		return
	}
	for _, c := range o.byID[m.ID].calls {
		if c.client == p && c.outcome == nil {
			c.sends = append(c.sends, sending{o.w.now, m.Number, time.Duration(m.InterestMS) * time.Millisecond})
		}
	}
}

func (o *oracle) clientReads(p *clientProcess, m *protocol.Message) {
	if q := o.byID[m.ID]; q != nil && m.Command == protocol.Reply && m.Flags.Certainty() == protocol.NotStarted {
		q.notes.refused = true
	}
}

func (o *oracle) sawClient(b *broker, p *packet, m *protocol.Message) {
	o.reading, o.reader = m, nil
	q := o.byID[m.ID]
	if q == nil {
		return
	}
	if m.Command == protocol.Request && q.open {
		o.call.joins = q
	}
	if m.Command == protocol.Request && len(q.runs) > 0 {
		o.checked(g4)
		if q.once {
			o.checked(g3)
		}
	}
	if m.Command == protocol.Cancel {
		q.notes.withdrawn = true
		return
	}
	other := m.Flags.Has(protocol.MaybeSent) && m.Epoch != b.epoch
	switch {
	case !other:
	case m.Number > 1 && m.Epoch != 0 && p.conn.s.client.knows == b.epoch:
		o.saw(seenEpochLearnedLater)
	case m.Number == 1 && len(q.calls) > 1 && len(q.runs) > 0:
		o.saw(seenFirstTryNotFirst)
		if p.conn.s.client.knows == b.epoch && q.runs[0].epoch < b.epoch {
			o.saw(seenTakenUp)
		}
	}
	if other && q.once && b.w.now-p.came > b.w.plan.core.Heartbeat && b.isJustBack() {
		o.saw(seenOnceAfterFreeze)
	}
	if b.draining && q.finished == b.epoch {
		o.saw(seenDrainRace)
	}
}

// isJustBack reports whether b stood still a moment ago.
func (b *broker) isJustBack() bool { return b.frozen > 0 && b.w.now-b.frozen < 20*time.Millisecond }

// sawWorker looks at what a worker says before the core does.
func (o *oracle) sawWorker(b *broker, p *packet, m *protocol.Message) {
	wp := p.conn.s.worker
	defer func() { wp.said = m.Command }()
	for i := range m.Entries {
		o.sawEntry(b, wp, m, &m.Entries[i])
	}
	switch m.Command {
	case protocol.Ready:
		if wp.said == protocol.Ready && m.Part == 0 {
			o.saw(seenDuplicateReady)
		}
		if !m.Flags.Has(protocol.Last) {
			o.saw(seenReadyInParts)
		}
	case protocol.Heartbeat:
		for _, q := range o.requests {
			if q.at == wp.instance && q.notes.dispatchSeq > m.Ack && q.finished != b.epoch {
				o.saw(seenListBehind)
				break
			}
		}
	case protocol.Reply:
		o.sawReply(b, wp, m)
	}
}

func (o *oracle) sawReply(b *broker, wp *workerProcess, m *protocol.Message) {
	q := o.byID[m.ID]
	if q == nil {
		return
	}
	if m.Code.Final() && (q.finished == b.epoch || len(q.runs) > 1) {
		o.checked(g6)
	}
	switch {
	case m.Code == protocol.Gone && m.Number == q.notes.fetch:
		o.saw(seenFetchLost)
	case m.Code == protocol.Failed && m.Flags.Has(protocol.CtxCancelled) && q.finished != b.epoch:
		o.saw(seenOwnCancel)
	case m.Code == protocol.Retry:
		q.notes.retriedAt = wp.instance
	case m.Code.Final() && q.overCode == protocol.Cancelled && q.finished == b.epoch:
		o.saw(seenCancelRacesReply)
	case m.Code.Final() && q.finished == b.epoch && len(q.runs) > 1:
		o.saw(seenReplyAfterRedelivery)
	}
}

func (o *oracle) sawEntry(b *broker, wp *workerProcess, m *protocol.Message, e *protocol.Entry) {
	q := o.byID[e.ID]
	if q == nil {
		return
	}
	if e.State == protocol.Finished && q.notes.replyLost {
		q.notes.replyLost = false
		o.saw(seenLostReply)
	}
	if m.Command == protocol.Ready && e.State == protocol.IDOnly && e.Epoch != b.epoch && q.notes.withdrawn {
		o.saw(seenIDOnly)
	}
}

// sawNote looks at what the core reports.
func (o *oracle) sawNote(b *broker, q *request, e *core.Event) {
	switch e.What {
	case core.EventLinkReset:
		o.sawReset(e)
	case core.EventAccepted:
		q.notes.acceptedBy = b.epoch
	case core.EventJoined:
		if q.notes.lostBy == b.epoch && q.notes.acceptedBy != b.epoch {
			o.saw(seenBodyBrought)
			q.notes.acceptedBy = b.epoch
		}
	case core.EventAdopted:
		o.sawAdopted(b, q)
	case core.EventRequeued:
		if e.Reason == "worker lost" || e.Reason == "link reset" {
			q.notes.lostBy = b.epoch
		}
		if e.Reason == "handed back" {
			o.saw(seenHandedBackAgain)
		}
	case core.EventRescued:
		o.saw(seenLateReplyUsed)
	case core.EventDeadLetter:
		if q.deed.poison {
			o.saw(seenPoison)
		}
	case core.EventWorkerSuspect:
		if k := o.back[e.Worker]; k != nil && k.p.alive && len(k.p.runs) > 0 {
			p := k.p
			at := o.w.now
			o.w.after(graceTime, func() {
				if all := p.seat.troubled(at-graceTime, at+graceTime); p.alive && p.sock != nil && p.sock.conn != nil && all > 0 && all < graceTime {
					o.saw(seenBackInGrace)
				}
			})
		}
	}
}

func (o *oracle) sawAdopted(b *broker, q *request) {
	start := o.starts[len(o.starts)-1].from
	if o.w.now-start > o.silence() {
		o.saw(seenLateClaim)
	}
	if o.w.now-start < o.w.plan.core.RecoveryWindow {
		o.saw(seenClaimInWindow)
	}
	if q.notes.adoptedBy != 0 && q.notes.adoptedBy != b.epoch {
		o.saw(seenTwoRestarts)
	}
	q.notes.adoptedBy = b.epoch
}

func (o *oracle) sawReset(e *core.Event) {
	const nothing = "the worker acknowledged nothing"
	k := o.back[e.Worker]
	if k == nil {
		return
	}
	p := k.p
	if len(e.Reason) >= len(nothing) && e.Reason[:len(nothing)] == nothing {
		o.saw(seenOneWayLink)
		for _, q := range o.requests {
			if q.at == e.Worker {
				q.notes.resetAt, q.notes.resetRun = e.Worker, q.notes.dispatchSeq
			}
		}
		return
	}
	if p.sock != nil {
		for c, n := range o.links { // any order: the sum does not depend on it
			if c.s == p.sock && n.replyLost {
				n.replyLost = false
				o.saw(seenGapAfterReply)
			}
		}
	}
}

// brokerDecides looks at what the core has put out in one call.
func (o *oracle) brokerDecides(b *broker, out []core.Output) {
	var welcome []byte
	routes := 0
	var last protocol.ID
	for i := range out {
		m := &out[i].Msg
		if out[i].Kind != core.Send {
			continue
		}
		q := o.byID[m.ID]
		switch {
		case out[i].Side == core.Back && m.Command == protocol.Welcome:
			welcome = out[i].To.ID
		case out[i].Side == core.Back && m.Command == protocol.Cancel:
			if string(out[i].To.ID) == string(welcome) {
				o.saw(seenCancelAtWelcome)
			}
		case out[i].Side == core.Back && m.Command == protocol.Request && m.Flags.Has(protocol.ReplayOnly):
			q.notes.fetch = m.Number
		case out[i].Side == core.Back && m.Command == protocol.Request:
			q.notes.dispatchSeq = m.Seq
		case out[i].Side == core.Front && m.Command == protocol.Reply:
			if m.ID == last {
				routes++
			} else {
				last, routes = m.ID, 1
			}
			if routes == 2 {
				o.saw(seenTwoRoutes)
			}
		case out[i].Side == core.Back && m.Command == protocol.Disconnect && m.Code == protocol.ReasonUnknown && len(o.starts) > 1:
			o.saw(seenOldLinkAtNew)
		}
	}
}

func (o *oracle) sawStart(r *run) {
	q := r.request
	for _, old := range q.runs[:len(q.runs)-1] {
		if old.attempt == r.attempt && old.epoch != r.epoch {
			o.saw(seenSameFence)
		}
	}
	if q.notes.retriedAt == r.worker.instance {
		o.saw(seenRetryAtSame)
	}
	if lease := o.w.plan.core.Lease; lease > 0 && q.waits > 0 && r.started-q.waits > lease {
		o.saw(seenWaitBeyondLease)
	}
	if q.notes.resetAt == r.worker.instance {
		o.saw(seenResetThenStart)
	}
}

// workerReads: a message has reached a session.
func (o *oracle) workerReads(p *workerProcess, in *packet, m *protocol.Message) {
	o.w.digest(uint64(o.w.now), uint64(m.Command), uint64(m.Seq), uint64(in.conn.number))
	if m.Command != protocol.Request || m.Flags.Has(protocol.ReplayOnly) {
		return
	}
	if q := o.byID[m.ID]; q != nil {
		q.transit = max(q.transit, p.transit)
		if q.waits == 0 {
			q.waits = o.w.now
		}
	}
	p.reading = m
}

// workerReports: an event of a session.
func (o *oracle) workerReports(p *workerProcess, out *workercore.Output) {
	o.w.note("%s: %v %v %s", p.name, out.Event, out.Code, out.Text)
	if q := o.byID[out.Fence.ID]; q != nil && out.Event == workercore.Unanswerable {
		o.unanswerable(q)
	}
	switch out.Event {
	case workercore.Joined:
		p.welcomed = true
	case workercore.Reconnecting:
		o.reconnects(p, out.Text)
	}
	m := p.reading
	switch {
	case out.Event == workercore.Answered && out.Code == protocol.Expired && m != nil && m.ID == out.Fence.ID && m.Number == out.Fence.Attempt:
		if o.w.now > 0 && m.RemainingMS > 0 {
			o.saw(seenStaleRemaining)
		}
	case out.Event == workercore.TaskOver || out.Event == workercore.ReturnedLate:
		o.saw(seenStuckSlot)
	}
	if out.Event == workercore.Answered && out.Code == protocol.Expired {
		if q := o.byID[out.Fence.ID]; q != nil && q.overCode == protocol.Expired {
			o.saw(seenExpiryInFlight)
		}
	}
}

// unanswerable: a reply is too large. That is a failure, and its handler's, if that
// has returned; its error is one in any case.
func (o *oracle) unanswerable(q *request) {
	last := q.runs[len(q.runs)-1]
	if last.how == "retry" {
		return
	}
	q.deed.fails = true
	o.saw(seenUnanswerable)
	if last.epoch < uint64(o.w.brokers) && last.how != "failed" {
		o.saw(seenLimitShrinks)
	}
}

func (o *oracle) workerTurned(p *workerProcess) { p.reading = nil }

func (o *oracle) poisoned(p *workerProcess) { o.w.note("%s dies of poison", p.name) }
