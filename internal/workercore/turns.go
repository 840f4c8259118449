package workercore

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// Turns is the deciding part of a worker's loop: what one turn of it makes of what
// has come from its brokers, and of what its handlers say. It is pure, as a Session
// is; there is one of those for each broker, and the handlers are shared.
//
// A driver reads its links and takes what handlers have said, reads the clock, once,
// and calls Begin, Read and Connected for all that was read, Emptied for each link
// that was found empty, Finished, Part and Progress, and End. It does what has come
// out, in order, and says what became of it (Opened, OpenFailed, Stamp, Sent). Then
// it reads the clock again, calls Start, does what comes of that, and waits, until
// Deadline at most.
//
// The driver may stand still anywhere in between. Begin finds that out by the clock,
// and so does Start: nothing is begun that may be another worker's by now.
type Turns struct {
	sessions []*Session
	handlers int // that may run at a time
	running  int // that have not returned
	now      time.Duration
	msg      protocol.Message
}

// NewTurns returns the turns of a worker with a session for each of its brokers,
// which are Turns' alone from then on.
func NewTurns(handlers int, sessions ...*Session) *Turns {
	return &Turns{sessions: sessions, handlers: handlers}
}

// of notes that what has come since from is broker's.
func of(broker, from int, out []Output) []Output {
	for i := from; i < len(out); i++ {
		out[i].Broker = broker
	}
	return out
}

// Begin starts a turn, at now. What earlier ones have put out is done. random is
// fresh.
func (t *Turns) Begin(now time.Duration, random uint64, out []Output) []Output {
	t.now = now
	for i, s := range t.sessions {
		out = of(i, len(out), s.Turn(now, random+uint64(i)*0x9e3779b97f4a7c15, out))
	}
	return out
}

// Read takes a message of a broker. The error says what is wrong with it.
func (t *Turns) Read(broker int, frames [][]byte, out []Output) ([]Output, error) {
	if err := protocol.Parse(protocol.BackOut, frames, &t.msg); err != nil {
		return append(out, Output{Kind: Drop, Reason: DropMalformed, Broker: broker}), err
	}
	return of(broker, len(out), t.sessions[broker].Receive(t.now, &t.msg, out)), nil
}

// Connected says that the link to a broker has a connection, the first or a new one.
func (t *Turns) Connected(broker int, out []Output) []Output {
	return of(broker, len(out), t.sessions[broker].Connected(t.now, out))
}

// Emptied says that the link to a broker was found empty. A broker that is silent has said
// nothing until now.
func (t *Turns) Emptied(broker int) { t.sessions[broker].Emptied(t.now) }

// Finished is what the handler of a broker's request says last.
func (t *Turns) Finished(broker int, id protocol.ID, r Result, out []Output) []Output {
	t.running--
	for i, s := range t.sessions { // what one request has shown holds for those of other brokers
		if r.Hold > 0 {
			out = of(i, len(out), s.Hold(t.now, r.Hold, out))
		} else {
			out = of(i, len(out), s.Works(t.now, out))
		}
	}
	return of(broker, len(out), t.sessions[broker].Finished(t.now, id, r, out))
}

// Part is a part of its reply.
func (t *Turns) Part(broker int, id protocol.ID, frames [][]byte, out []Output) []Output {
	return of(broker, len(out), t.sessions[broker].Part(t.now, id, frames, out))
}

// Progress says that it gets on.
func (t *Turns) Progress(broker int, id protocol.ID, out []Output) []Output {
	return of(broker, len(out), t.sessions[broker].Progress(t.now, id, out))
}

// Drain begins the end, within timeout.
func (t *Turns) Drain(timeout time.Duration, out []Output) []Output {
	for i, s := range t.sessions {
		out = of(i, len(out), s.Drain(t.now, timeout, out))
	}
	return out
}

// End does what is due.
func (t *Turns) End(out []Output) []Output {
	stuck := 0
	for i, s := range t.sessions {
		out = of(i, len(out), s.Tick(t.now, out))
		stuck += s.Stuck()
	}
	for i, s := range t.sessions { // handlers that were answered for are no slots for the others either
		out = of(i, len(out), s.SetElsewhere(t.now, stuck-s.Stuck(), out))
	}
	return out
}

// Start starts what has waited longest, over all brokers, while handlers are free.
func (t *Turns) Start(now time.Duration, out []Output) []Output {
	for t.running < t.handlers {
		next, oldest := -1, time.Duration(0)
		for i, s := range t.sessions {
			if since, ok := s.Waiting(); ok && (next < 0 || since < oldest) {
				next, oldest = i, since
			}
		}
		if next < 0 {
			break
		}
		from := len(out)
		out = of(next, from, t.sessions[next].StartNext(now, out))
		for _, o := range out[from:] { // none, if it is too late for this one
			if o.Kind == Start {
				t.running++
			}
		}
	}
	return out
}

// Waits reports whether Start has something to start.
func (t *Turns) Waits() bool {
	for _, s := range t.sessions {
		if _, ok := s.Waiting(); ok && t.running < t.handlers {
			return true
		}
	}
	return false
}

// Opened says that the link that Open asked for is there.
func (t *Turns) Opened(broker int, out []Output) []Output {
	return of(broker, len(out), t.sessions[broker].Opened(t.now, out))
}

// OpenFailed says that it could not be opened.
func (t *Turns) OpenFailed(broker int, why string, out []Output) []Output {
	return of(broker, len(out), t.sessions[broker].OpenFailed(t.now, why, out))
}

// Stamp numbers m just before it is sent; see Session.Stamp.
func (t *Turns) Stamp(broker int, m *protocol.Message) bool {
	return t.sessions[broker].Stamp(t.now, m)
}

// Sent says what became of m; see Session.Sent.
func (t *Turns) Sent(broker int, m *protocol.Message, ok bool) {
	t.sessions[broker].Sent(t.now, m, ok)
}

// Deadline returns when the next turn is needed if nothing arrives; ok is false when
// no time will make a difference.
func (t *Turns) Deadline() (at time.Duration, ok bool) {
	at = never
	for _, s := range t.sessions {
		if due, ok := s.Deadline(); ok {
			at = min(at, due)
		}
	}
	return at, at != never
}

// Over reports whether every session has ended.
func (t *Turns) Over() bool {
	for _, s := range t.sessions {
		if s.phase != ended {
			return false
		}
	}
	return true
}

// Check looks at every invariant.
func (t *Turns) Check() error {
	for _, s := range t.sessions {
		if err := s.Check(); err != nil {
			return err
		}
	}
	return nil
}
