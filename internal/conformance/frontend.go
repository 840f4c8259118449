package conformance

import (
	"fmt"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/protocol"
)

// A frontend is the front of a broker, played for one client. PING and CANCEL
// are answered at once, REQUEST as the script says.
type frontend struct {
	r        *run
	s        *socket
	epoch    uint64
	asked    []asked
	bad      []string             // what was no message of PRV1
	naked    int                  // messages without an envelope
	answered map[protocol.ID]bool // tries of these are answered as they come
	over     map[protocol.ID]bool // these have their outcome
	late     []string             // asked for after that
	instance uint64               // of the first message
	strange  []string             // messages with another
}

// An asked is one REQUEST.
type asked struct {
	protocol.Message
	at       time.Duration
	peer     []byte
	envelope [][]byte
	taken    bool // a check has begun with it, or it is another try
	unmarked bool // a try above 1 without MAYBE_SENT: refused, but understood here
}

func newFrontend(r *run) *frontend {
	return &frontend{r: r, epoch: random(), answered: map[protocol.ID]bool{}, over: map[protocol.ID]bool{}}
}

// take takes what the client says.
func (f *frontend) take(in link.Message) {
	envelope, content, ok := protocol.SplitEnvelope(in.Frames)
	if !ok {
		f.naked++
		return
	}
	a := asked{at: f.r.now(), peer: in.Peer, envelope: envelope}
	err := protocol.Parse(protocol.FrontIn, content, &a.Message)
	if err != nil && a.Command == protocol.Request && a.Number > 1 && !a.Flags.Has(protocol.MaybeSent) {
		content = poke(content, maybeSentByte, content[0][maybeSentByte]|byte(protocol.MaybeSent))
		a.unmarked = true
		err = protocol.Parse(protocol.FrontIn, content, &a.Message)
	}
	if err != nil {
		f.bad = append(f.bad, fmt.Sprintf("a message beginning %.12q: %v", content[0], err))
		return
	}
	f.know(&a)
	switch a.Command {
	case protocol.Ping:
		intervals, limits := usual, limits
		f.send(&a, protocol.Message{Command: protocol.Pong, Intervals: &intervals, Limits: &limits, SentMS: a.SentMS})
	case protocol.Cancel:
		f.answer(&a, protocol.Message{Code: protocol.Cancelled, Flags: protocol.Flags(0).WithCertainty(protocol.MaybeStarted)})
	case protocol.Request:
		f.asked = append(f.asked, a)
		if f.over[a.ID] {
			f.late = append(f.late, fmt.Sprintf("try %d of %v after its REPLY", a.Number, a.ID))
		}
		if f.answered[a.ID] || f.over[a.ID] {
			f.ok(&a)
		}
	}
}

// know looks at the instance.
func (f *frontend) know(a *asked) {
	switch {
	case f.instance == 0:
		f.instance = a.Instance
	case a.Instance != f.instance:
		f.strange = append(f.strange, fmt.Sprintf("%s with instance %x after one with %x", a.Command, a.Instance, f.instance))
	}
}

// send answers a message with another. Id, number and instance are the asked
// one's, and the epoch is the kit's, unless m has its own.
func (f *frontend) send(to *asked, m protocol.Message) {
	if m.ID.IsZero() {
		m.ID = to.ID
	}
	if m.Number == 0 {
		m.Number = to.Number
	}
	if m.Epoch == 0 {
		m.Epoch = f.epoch
	}
	m.Instance = to.Instance
	f.raw(to, encode(protocol.FrontOut, &m)...)
}

// raw answers with these frames. A client that is gone hears nothing.
func (f *frontend) raw(to *asked, frames ...[]byte) {
	all := append(append([][]byte(nil), to.envelope...), nil)
	_ = f.s.Send(to.peer, append(all, frames...)...)
}

// answer sends a REPLY.
func (f *frontend) answer(to *asked, m protocol.Message) {
	m.Command = protocol.Reply
	f.send(to, m)
}

// good is the outcome of an echo.
func good(to *asked) protocol.Message {
	return protocol.Message{Command: protocol.Reply, Code: protocol.OK, Flags: protocol.Flags(0).WithCertainty(protocol.Ran),
		Attempt: 1, Body: to.Body}
}

// ok sends the outcome of an echo.
func (f *frontend) ok(to *asked) { f.answer(to, good(to)) }

// finish sends the outcome; nothing more may be asked under the id then.
func (f *frontend) finish(to *asked) {
	f.ok(to)
	f.over[to.ID] = true
}

// next waits for a request under an id that no check has begun with.
func (f *frontend) next(d time.Duration) (found *asked) {
	f.r.wait(d, func() bool {
		for i := range f.asked {
			if a := &f.asked[i]; !a.taken && !f.knows(a.ID, i) {
				found = a
				return true
			}
		}
		return false
	})
	return found
}

// knows reports whether an id was asked for before the i-th request.
func (f *frontend) knows(id protocol.ID, i int) bool {
	for _, a := range f.asked[:i] {
		if a.ID == id {
			return true
		}
	}
	return false
}

// begin waits for the next request and begins a check with it.
func (f *frontend) begin() (*asked, error) {
	a := f.next(requestMax)
	if a == nil {
		return nil, came("no request within %v: the client must make one after another, until it is stopped", requestMax)
	}
	a.taken = true
	taken := *a // the list may move
	return &taken, nil
}

// again waits for another try than a of the same request, or for another
// request: then it is nil. A try above 1 under a new id is taken for one of
// the same request, too.
func (f *frontend) again(a *asked, d time.Duration) (found *asked, moved bool) {
	f.r.wait(d, func() bool {
		for i := range f.asked {
			b := &f.asked[i]
			switch {
			case b.at <= a.at:
			case b.ID == a.ID, !b.taken && b.Number > 1 && !f.knows(b.ID, i):
				b.taken = true
				found = b
			case !b.taken && !f.knows(b.ID, i):
				moved = true
			}
		}
		return found != nil || moved
	})
	if found != nil {
		copied := *found // the list may move
		found = &copied
	}
	return found, moved
}

// newest is the newest try of a's request.
func (f *frontend) newest(a *asked) *asked {
	for i := len(f.asked) - 1; i >= 0; i-- {
		if f.asked[i].ID == a.ID {
			return &f.asked[i]
		}
	}
	return a
}
