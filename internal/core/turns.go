package core

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// Turns is the deciding part of a broker's loop: what one turn of it makes of
// what has arrived. It is pure, as the Core is. A driver reads both ports, reads
// the clock, once, and calls Begin, Read for each message, and End; it sends
// what has come out, reads the clock and waits, for Wait at most.
//
// The driver may stand still anywhere: in its wait, between reading and
// deciding, between deciding and sending. A turn finds that out by the clock.
type Turns struct {
	core *Core
	cfg  TurnConfig
	msg  protocol.Message

	last    time.Duration // now of the turn before; negative: there was none
	gap     time.Duration // that this turn has told the core
	stopped bool          // this process stood still, and not all that came meanwhile is read
	rounds  int           // turns since
	drains  bool
	drainBy time.Duration
	leftBy  time.Duration // it has left, and reads on until then; 0: not yet
}

// TurnConfig is what Turns must know beside what the Core knows.
type TurnConfig struct {
	Dialects     protocol.Dialects
	DrainTimeout time.Duration
	NewID        func() protocol.ID // for a request whose client's dialect has no ids
}

const (
	waitMax     = 100 * time.Millisecond
	drainedWait = 10 * time.Millisecond
	lateMin     = 50 * time.Millisecond // or a heartbeat: so late a turn has stood still
	roundsMax   = 64                    // turns until it is judged, after a stop, though not all is read
	farewell    = 200 * time.Millisecond
)

// NewTurns returns the turns of c.
func NewTurns(c *Core, cfg TurnConfig) *Turns { return &Turns{core: c, cfg: cfg, last: -1} }

// Begin starts a turn at now, which was read after the ports were. Before is the
// clock's reading before the wait, and wait how long that was to be. The outputs
// of earlier turns have been done.
//
// What passed beside the wait, this process stood still or was busy: what came
// meanwhile has waited for as long, and nobody is to blame for it.
func (t *Turns) Begin(now, before, wait time.Duration, out []Output) []Output {
	t.core.Done()
	late, waited, busy := min(lateMin, t.core.cfg.Heartbeat), max(now-before-wait, 0), time.Duration(0)
	if t.last >= 0 {
		busy = max(before-t.last, 0)
	}
	t.last = now
	gap, ended := waited+busy, now
	if gap <= late {
		t.gap = 0
		return out
	}
	if busy > late && waited <= late {
		ended = before // it has waited since: what came during the stop would have ended that at once
	}
	t.gap = gap
	t.stopped, t.rounds = t.stopped || gap > t.core.cfg.Heartbeat, 0
	return t.core.Stopped(now, gap, ended, out)
}

// Stood is how long this process stood still, or was busy, before the turn that
// Begin has begun; 0 if that was next to nothing.
func (t *Turns) Stood() time.Duration { return t.gap }

// Read takes one message of a port: whatever dialect it is in. The error says
// what is wrong with it; its sender has been answered.
func (t *Turns) Read(at protocol.Port, peer []byte, frames [][]byte, out []Output) ([]Output, error) {
	o, err := protocol.Read(at, frames, t.cfg.Dialects, &t.msg)
	from := Peer{ID: peer, Port: at, Dialect: o.Dialect, Envelope: o.Envelope}
	switch {
	case err != nil:
		side := Front
		if o.Worker {
			side = Back
		}
		out = t.core.Malformed(t.last, side, from, &t.msg, err, out)
		t.msg = protocol.Message{}
	case o.Worker:
		out = t.core.Worker(t.last, from, &t.msg, out)
	default:
		if o.Dialect != protocol.PRV1 {
			t.msg.ID = t.cfg.NewID()
		}
		out = t.core.Client(t.last, from, &t.msg, out)
	}
	return out, err
}

// End does what is due. found says of each port whether it was found empty when it
// was read, so that who is silent there has said nothing until now; however busy
// the other one is. After a stop nothing is judged before both were.
func (t *Turns) End(found [2]bool, out []Output) []Output {
	for at, empty := range found {
		if empty {
			t.core.heardAll(t.last, protocol.Port(at))
		}
	}
	empty := found[0] && found[1]
	if t.stopped = t.stopped && !empty && t.rounds < roundsMax; t.stopped {
		t.rounds++
		return out
	}
	out = t.core.Fire(t.last, out)
	if t.drains && t.leftBy == 0 && (t.last >= t.drainBy || t.core.Idle()) {
		t.leftBy = t.last + farewell
		out = t.core.Leave(t.last, out)
	}
	return out
}

// Drain begins to drain: nothing new is taken, and what is held has the time-out
// to finish.
func (t *Turns) Drain(now time.Duration, out []Output) []Output {
	if t.drains {
		return out
	}
	t.drains, t.drainBy = true, now+t.cfg.DrainTimeout
	return t.core.Drain(now, out)
}

// Over reports whether the drain is over, and all has been read that may come
// for a moment after: TCP throws away what is under way to a peer when the
// socket is closed with input unread.
func (t *Turns) Over(now time.Duration) bool { return t.leftBy != 0 && now >= t.leftBy }

// Wait is how long to wait at most, from now on, for the next turn.
func (t *Turns) Wait(now time.Duration) time.Duration {
	wait := min(waitMax, t.core.cfg.Heartbeat)
	if t.stopped {
		return 0
	}
	if at, ok := t.core.Deadline(); ok {
		wait = min(wait, at-now)
	}
	switch {
	case t.leftBy != 0:
		wait = min(wait, t.leftBy-now, drainedWait)
	case t.drains:
		wait = min(wait, t.drainBy-now, drainedWait)
	}
	return max(wait, 0)
}
