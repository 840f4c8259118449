package core

import (
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

func TestAlike(t *testing.T) {
	for _, c := range []struct {
		a, b  string
		edits int
		want  bool
	}{
		{"summ", "sum", 1, true}, {"sum", "summ", 1, true}, {"sum", "sun", 1, true}, {"smu", "sum", 1, true},
		{"sum", "sum", 0, true}, {"sum", "sun", 0, false}, {"sum", "", 2, false}, {"", "su", 2, true},
		{"resixe-large", "resize-lagre", 2, true}, {"resixe-large", "resize-lagre", 1, false}, {"abcd", "badc", 2, true}, {"abcd", "badc", 1, false},
	} {
		if got := alike(c.a, c.b, c.edits); got != c.want {
			t.Errorf("%q and %q, %d edits: %v", c.a, c.b, c.edits, got)
		}
	}
}

// Who asks for what nobody serves is told at once, with the served name that is most
// like it: not seldom, but not for every request of a flood.
func TestAcceptedTellsWhoServes(t *testing.T) {
	l := newLabourer(t, func(c *Config) { c.MaxServices = 50 })
	l.joins(1, "resize", "resizer", "sum", "sun")
	asks := func(id byte, service string) *protocol.Served {
		t.Helper()
		l.asks(protocol.Message{Command: protocol.Request, ID: protocol.ID{15: id}, Service: []byte(service), Flags: protocol.CanTakeMore, Body: [][]byte{{1}}})
		l.check()
		m := l.answer(Front, protocol.Accepted)
		if m == nil || m.Served == nil {
			t.Fatalf("%s: told nothing", service)
		}
		return m.Served
	}
	for i, c := range []struct{ asked, nearest string }{
		{"summ", "sum"}, {"su", "sum"}, {"su5", "sum"}, {"resizes", "resize"}, {"resise", "resize"}, {"rezise", "resize"},
		{"resiser", "resizer"}, {"other", ""}, {"", ""},
	} {
		l.c.now += nearestEach
		if got := asks(byte(i+1), c.asked); got.Workers != 0 || string(got.Nearest) != c.nearest {
			t.Errorf("%q: %d workers, nearest %q, want %q", c.asked, got.Workers, got.Nearest, c.nearest)
		}
	}
	l.c.now += nearestEach
	if first, second := asks(20, "sunm"), asks(21, "sunm"); first.Nearest == nil || second.Nearest != nil {
		t.Errorf("%q, then %q: it was looked for twice within %v", first.Nearest, second.Nearest, nearestEach)
	}
	// One that is served, and takes a while: it is only told that it is.
	for id := byte(30); id < 32; id++ {
		l.asks(protocol.Message{Command: protocol.Request, ID: protocol.ID{15: id}, Service: []byte("sum"), Flags: protocol.CanTakeMore, Body: [][]byte{{1}}})
	}
	l.did(l.c.Tick(l.c.now+acceptAfter+2*time.Millisecond, nil))
	if m := l.answer(Front, protocol.Accepted); m == nil || m.Served == nil || m.Served.Workers != 1 || m.Served.Nearest != nil {
		t.Errorf("of one that is served: %+v", m)
	}
	// Its worker drains, and has it.
	l.works(protocol.Message{Command: protocol.Heartbeat, Flags: protocol.Draining, Entries: []protocol.Entry{{ID: protocol.ID{15: 30}, Attempt: 1, Epoch: l.c.cfg.Epoch, State: protocol.Running, RemainingMS: 1000}}})
	l.asks(protocol.Message{Command: protocol.Request, ID: protocol.ID{15: 30}, Number: 2, Service: []byte("sum"), Flags: protocol.CanTakeMore | protocol.MaybeSent, Body: [][]byte{{1}}})
	if m := l.answer(Front, protocol.Accepted); l.c.services["sum"].live != 0 && m == nil || m.Served.Workers != 1 {
		t.Errorf("of one that a draining worker has: %+v", m)
	}
}
