package sim

import (
	"slices"

	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/protocol"
)

// brokerNotes: the core reports a change of state.
func (o *oracle) brokerNotes(b *broker, e *core.Event) {
	q := o.byID[e.ID]
	w := o.w
	o.takesNote(e)
	switch e.What {
	case core.EventWorkerLost:
		o.workerLost(b, e)
	case core.EventWorkerLeft:
		o.workerLeft(e)
	case core.EventLinkReset:
		if k := o.back[e.Worker]; k != nil {
			k.gapped = true
		}
	case core.EventAccepted:
		if q.open {
			w.fail("notes: %s is accepted, and was open", q.name)
		}
		o.opens(q, true)
		for instance := range q.interest { // any order: those who were refused before do not wait
			if o.reading == nil || o.reading.Instance != instance {
				delete(q.interest, instance)
			}
		}
		if q.forgotten == b.epoch && len(q.runs) > 0 {
			o.saw(seenForgottenAgain)
		}
		if !q.requeued {
			q.mine = max(q.mine, o.read)
		}
		q.lost, q.alone, q.lone, q.told = nil, false, false, answered{}
		q.askedOf = b.epoch
	case core.EventJoined:
		q.mine = max(q.mine, o.read)
		q.askedOf = b.epoch
	case core.EventReplayed:
		if w.now < q.kept {
			q.kept = max(q.kept, o.read)
		}
	case core.EventRefused:
		if q != nil && q.open && (e.Code == protocol.Expired || e.Reason == core.UntakenText) { // nobody knows, so it is not remembered
			o.opens(q, false)
		}
	case core.EventForgotten:
		o.forgets(b, q)
	case core.EventFinished:
		o.finished(b, q, e)
	case core.EventRequeued:
		o.takesBack(b, q, e)
	case core.EventDeadLetter:
		o.dead++
		o.givesUp(b, q, e)
	case core.EventKept:
		o.keeps(b, q, e)
	case core.EventAdopted:
		o.adopts(b, q, e)
	case core.EventHandedOut:
		o.handedOut(b, q, e)
	}
	o.inOrder(b, q, e)
	o.sawNote(b, q, e)
}

// forgets (G13): nobody has asked for q in the time that each had named.
func (o *oracle) forgets(b *broker, q *request) {
	if !q.open {
		o.w.fail("notes: %s is forgotten, and was not open", q.name)
	}
	o.checked(g13)
	for instance, until := range q.interest { // any order: one that fails is one too many
		if o.w.now < until-slack-o.stepped(0) {
			o.w.fail("G13: %s is forgotten, and %c waits for it until %v", q.name, rune(instance), until)
		}
	}
	o.saw(seenForgotten)
	if h := q.holds; h != nil {
		o.giveUp(q, h, whyForgotten)
	}
	o.opens(q, false)
	q.keeper, q.forgotten = nil, b.epoch
	o.mustStop(b, q)
}

// finished: q has its outcome.
func (o *oracle) finished(b *broker, q *request, e *core.Event) {
	w := o.w
	if !q.open {
		w.fail("notes: %s has an outcome, and was not open", q.name)
	}
	o.usesReply(q, e)
	switch {
	case e.Code == protocol.WorkerLost:
		o.endsLost(b, q, e)
	case e.Code == protocol.Timeout && e.Attempt == 0 && q.holds != nil: // at most once, or it had been given up before
		if wrong := o.notIdle(b, q.holds); wrong != "" {
			w.fail("G13: %s ends (%s): %s", q.name, e.Reason, wrong)
		}
	}
	q.kept, q.lived = q.mine, q.opened
	o.hold(q, nil)
	o.opens(q, false)
	q.keeper = nil
	q.finished, q.over, q.overCode = b.epoch, w.now, e.Code
	o.mustStop(b, q)
}

// handedOut (G4, G6, G10): nothing is handed out that somebody holds, nor after
// its outcome; what has lost a worker goes alone.
func (o *oracle) handedOut(b *broker, q *request, e *core.Event) {
	w := o.w
	o.handed++
	k := o.back[e.Worker]
	switch {
	case k == nil:
		w.fail("notes: %s is handed to a worker that the broker does not know", q.name)
		return
	case !q.open:
		w.fail("notes: %s is handed out, and is not open", q.name)
	case !slices.Contains(k.p.services, q.service):
		w.fail("G7: %s is handed to %s, which does not serve %s", q.name, k.p.name, q.service)
	case q.holds != nil:
		w.fail("G4: %s is handed to %s, and was not taken from %s", q.name, k.p.name, q.holds.p.name)
	case q.finished == b.epoch && w.now < q.kept-o.brokerStepped(q.lived) && q.overCode != protocol.Cancelled:
		w.fail("G6: %s is handed out after its outcome", q.name)
	}
	if q.alone {
		o.checked(g10)
	}
	for _, other := range o.requests {
		if other == q || other.at != e.Worker || other.at == 0 {
			continue
		}
		if q.alone || other.lone {
			w.fail("G10: %s and %s are at worker %c together; one of them has lost a worker", q.name, other.name, rune(e.Worker))
		}
	}
	o.hold(q, &holding{p: k.p, attempt: e.Attempt, epoch: b.epoch, by: b.epoch, from: w.now})
	q.lone, q.waits = q.alone, w.now
}

// brokerDrops: the core throws something away.
func (o *oracle) brokerDrops(b *broker, e *core.Event) {
	switch e.What {
	case core.DropDeadLetter:
		o.dead--
	case core.DropStaleTry:
		o.call.dropped = true
	case core.DropCancelledTry:
		o.call.dropped = true
		o.saw(seenCancelOvertakes)
	case core.DropForeignCancel:
		o.saw(seenForeignCancel)
	case core.DropOverBound:
		if q := o.byID[e.ID]; q != nil && o.w.plan.tight {
			q.overBound = true
		}
	}
}
