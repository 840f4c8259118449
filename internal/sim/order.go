package sim

import (
	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/protocol"
)

// The order in which a broker hands out what waits for one service: the oldest of
// a priority first, higher priorities before lower ones, but for three of sixteen
// hand-outs, so that no priority waits for ever. It is looked at for requests that
// wait for their first hand-over; of others only the broker knows when they wait.

const (
	turnsRound = 16                        // hand-outs
	outOfTurn  = 3                         // of those: to a priority below another one that waits
	starvation = turnsRound + turnsRound/8 // hand-outs to others while a priority waits
	classes    = int(protocol.PriorityLow) + 1
)

// rank orders the priorities, the highest first.
var rank = [classes]int{protocol.PriorityHigh: 0, protocol.PriorityNormal: 1, protocol.PriorityLow: 2}

// A line is what waits for one service.
type line struct {
	waiting [classes][]*request // by rank, the oldest first
	since   [classes]int        // hand-outs to others, while they wait
	handed  int
	paused  bool             // by an operator
	turns   [turnsRound]bool // the last ones: whether they were out of turn
}

func (o *oracle) line(service string) *line {
	l := o.lines[service]
	if l == nil {
		l = &line{}
		o.lines[service] = l
	}
	return l
}

// waitsInLine: q was accepted, and waits from now on; unless it waits for a
// worker's claim.
func (o *oracle) waitsInLine(b *broker, q *request) {
	m := o.reading
	if m == nil || m.Command != protocol.Request {
		return
	}
	q.rank = rank[m.Code]
	if m.Flags.Has(protocol.MaybeSent) && m.Epoch != b.epoch {
		return
	}
	if q.forgotten == b.epoch && len(q.runs) > 0 { // the worker that is next may still run it
		return
	}
	q.inLine = true
	l := o.line(q.service)
	l.waiting[q.rank] = append(l.waiting[q.rank], q)
}

// leavesLine: q waits no longer, or not as before.
func (o *oracle) leavesLine(q *request) {
	if q == nil || !q.inLine {
		return
	}
	q.inLine = false
	l := o.line(q.service)
	for i, other := range l.waiting[q.rank] {
		if other == q {
			l.waiting[q.rank] = append(l.waiting[q.rank][:i], l.waiting[q.rank][i+1:]...)
			break
		}
	}
	if len(l.waiting[q.rank]) == 0 {
		l.since[q.rank] = 0
	}
}

// hasTurn: q is handed out.
func (o *oracle) hasTurn(q *request) {
	w, l := o.w, o.line(q.service)
	o.checked(gOrder)
	if l.paused {
		w.fail("order: %s is handed out, and %s is paused", q.name, q.service)
	}
	over := false
	if q.inLine {
		if oldest := l.waiting[q.rank][0]; oldest != q {
			w.fail("order: %s is handed out before %s, which is older and of the same priority", q.name, oldest.name)
		}
		for r := range q.rank {
			over = over || len(l.waiting[r]) > 0
		}
	}
	l.turns[l.handed%turnsRound] = over
	l.handed++
	n := 0
	for _, out := range l.turns {
		if out {
			n++
		}
	}
	if over {
		o.saw(seenOutOfTurn)
	}
	if n > outOfTurn {
		w.fail("order: %s is handed out before requests of a higher priority, the %dth in %d hand-outs of %s", q.name, n, turnsRound, q.service)
	}
	if q.alone { // apart from the others
		return
	}
	for r := range l.since {
		switch {
		case r == q.rank:
			l.since[r] = 0
		case len(l.waiting[r]) > 0:
			if l.since[r]++; l.since[r] > starvation {
				w.fail("order: %s waits behind %d hand-outs to other priorities", l.waiting[r][0].name, l.since[r])
			}
		}
	}
	o.leavesLine(q)
}

// inOrder follows the core's notes.
func (o *oracle) inOrder(b *broker, q *request, e *core.Event) {
	switch e.What {
	case core.EventAccepted:
		o.waitsInLine(b, q)
	case core.EventHandedOut:
		o.hasTurn(q)
	case core.EventFinished, core.EventRequeued, core.EventAdopted, core.EventKept, core.EventDeadLetter, core.EventRefused, core.EventForgotten:
		o.leavesLine(q)
	}
}
