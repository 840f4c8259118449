package core

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// entries lists the requests numbered from first on, as handed out by an earlier broker.
func entries(first, n int, state protocol.State) (list []protocol.Entry) {
	for i := range n {
		list = append(list, protocol.Entry{ID: numbered(first + i), Attempt: 1, Epoch: 77, State: state, RemainingMS: 60_000})
	}
	return list
}

// registers says READY in parts of at most 4,096 entries. each looks at what comes of
// every part.
func (l *labourer) registers(list []protocol.Entry, each func()) {
	for part := 0; ; part++ {
		n := min(len(list), protocol.EntriesMax)
		m := protocol.Message{Command: protocol.Ready, Part: uint32(part), Credit: 1, Entries: list[:n]}
		list = list[n:]
		m.Flags = m.Flags.With(protocol.Last, len(list) == 0)
		if part == 0 {
			m.Services = [][]byte{[]byte("s")}
		}
		l.works(m)
		each()
		if len(list) == 0 {
			return
		}
	}
}

// A worker that keeps a quarter of a million replies registers, registers anew, and is
// lost: no call of these puts out more than a handful, or touches more than a part.
func TestManyKeptReplies(t *testing.T) {
	const n = 64 * protocol.EntriesMax
	l := newLabourer(t, func(cfg *Config) { cfg.MaxIDs = 2 * n })
	few := func() {
		t.Helper()
		if len(l.out) > 4 {
			t.Fatalf("%d outputs in one call, the first is %+v", len(l.out), l.out[0])
		}
	}
	for range 2 {
		l.registers(entries(1, n, protocol.Kept), few)
		l.works(protocol.Message{Command: protocol.Heartbeat, Credit: 1})
		few()
		if g := l.c.Gauges(); g.IDs != n || g.Open != 0 || len(l.c.listings) != 1 {
			t.Fatalf("%d ids are known of %d, %d requests are open, %d listings", g.IDs, n, g.Open, len(l.c.listings))
		}
	}
	l.asks(protocol.Message{ID: numbered(7), Number: 2, Flags: protocol.MaybeSent})
	if m := l.answer(Back, protocol.Request); m == nil || !m.Flags.Has(protocol.ReplayOnly) {
		t.Fatal("a reply that is kept is not fetched")
	}
	l.check()
	l.works(protocol.Message{Command: protocol.Disconnect, Code: protocol.ReasonShutdown})
	few()
	l.check()
	for ids := l.c.Gauges().IDs; ids > 0; {
		at, _ := l.c.Deadline()
		if at > 50*time.Second {
			t.Fatalf("%d ids are still known at %v, whose only keeper has gone", ids, at)
		}
		l.did(l.c.Tick(at, nil))
		now := l.c.Gauges().IDs
		if ids-now > sweepMost {
			t.Fatalf("%d ids forgotten in one call", ids-now)
		}
		ids = now
	}
	l.check()
}

// Of what a worker runs, or has finished and not been thanked for, READY lists 4,096 at
// most, however many parts it has.
func TestTooManyRunsInParts(t *testing.T) {
	l := newLabourer(t, func(cfg *Config) { cfg.MaxQueue = 100_000 })
	refused := 0
	l.registers(entries(1, protocol.EntriesMax, protocol.Running), func() {})
	l.check()
	if m := l.answer(Back, protocol.Welcome); m == nil {
		t.Fatal("a worker with a whole list is not welcome")
	}
	for part := range 100 {
		m := protocol.Message{Command: protocol.Ready, Part: uint32(part), Entries: entries(1+part*protocol.EntriesMax, protocol.EntriesMax, protocol.Running)}
		if l.works(m); l.answer(Back, protocol.Disconnect) != nil {
			refused++
			if got := l.answer(Back, protocol.Disconnect).Code; got != protocol.ReasonInvalid && part == 1 {
				t.Errorf("refused for %v", got)
			}
		}
	}
	if g := l.c.Gauges(); refused != 99 || g.Open > protocol.EntriesMax {
		t.Errorf("%d of 100 parts were refused, %d requests are open", refused, g.Open)
	}
	l.check()
	if l.did(l.c.Tick(l.c.now+claimLasts+time.Second, nil)); l.c.Gauges().Open != 0 {
		t.Errorf("%d claims are open of a worker that is gone", l.c.Gauges().Open)
	}
	l.check()
}

// Claims whose bodies nobody has brought are as many as the queue of an earlier broker
// could have. Who asks for what may be among the others is not told that it did not run,
// and it is not run again.
func TestClaimsAreBounded(t *testing.T) {
	l := newLabourer(t, func(cfg *Config) { cfg.MaxQueue = 100 })
	l.registers(entries(1, 150, protocol.Running), func() {})
	if got := l.drops(DropOverBound); got != 50 || l.c.Gauges().Open != 100 {
		t.Errorf("%d claims had no room, %d are open", got, l.c.Gauges().Open)
	}
	l.did(l.c.Tick(l.c.cfg.RecoveryWindow, nil))
	l.asks(protocol.Message{ID: numbered(140), Number: 2, Flags: protocol.MaybeSent, Epoch: 77})
	if m := l.answer(Front, protocol.Reply); m == nil || m.Code != protocol.Overloaded || m.Flags.Certainty() != protocol.MaybeStarted {
		t.Errorf("who asks for a claim without room hears %+v", m)
	}
	if l.asks(protocol.Message{ID: numbered(500)}); l.c.requests[numbered(500)] == nil {
		t.Error("a new request is not taken")
	}
	l.check()
}

// A worker remembers more than a restarted broker's table of ids holds: it joins, both
// sides hear of it, and nothing that it has run is run again.
func TestWorkerRemembersMoreThanTheTableHolds(t *testing.T) {
	const most = 5000
	for _, state := range []protocol.State{protocol.Kept, protocol.IDOnly} {
		l := newLabourer(t, func(cfg *Config) { cfg.MaxIDs = most })
		l.registers(entries(1, 3*protocol.EntriesMax, state), func() {})
		welcome := l.answer(Back, protocol.Welcome)
		said := false
		for i := range l.out {
			said = said || l.out[i].Event.What == EventNoRoom
		}
		if g := l.c.Gauges(); g.IDs != most || welcome == nil || !said {
			t.Fatalf("%v: %d ids, welcome %v, told %t", state, g.IDs, welcome, said)
		}
		l.did(l.c.Tick(l.c.cfg.RecoveryWindow, nil))
		l.asks(protocol.Message{ID: numbered(12_000), Number: 2, Flags: protocol.MaybeSent, Epoch: 77})
		if m := l.answer(Front, protocol.Reply); m == nil || m.Code != protocol.Overloaded {
			t.Errorf("%v: who asks for what had no room hears %+v", state, m)
		}
		l.check()
	}
}

// Neither late replies nor claims, of requests that are open or over, pass the bound of
// the table of ids.
func TestLateRepliesKeepToTheTable(t *testing.T) {
	l := newLabourer(t, func(cfg *Config) { cfg.MaxIDs = 10 })
	l.joins(1, "s")
	for n := range 6 {
		l.asks(protocol.Message{ID: numbered(n + 1)})
	}
	for n := range 20 {
		l.works(protocol.Message{Command: protocol.Reply, Code: protocol.OK, ID: numbered(100 + n), Number: 1, Epoch: 77})
		l.check()
	}
	if acks := len(l.c.workers[1].acks); acks != 4 {
		t.Errorf("%d of 20 late replies are acknowledged, and there was room for 4", acks)
	}
	l.registers(entries(200, 30, protocol.IDOnly), func() {})
	l.check()
}

// The names in parts of READYs whose ends do not come are bounded, all workers together.
func TestUnfinishedReadysAreBounded(t *testing.T) {
	c := New(func() Config { cfg := testConfig(); cfg.MaxPeers = 20_000; return cfg }(), 0)
	services := make([][]byte, 200)
	for i := range services {
		services[i] = fmt.Appendf(bytes.Repeat([]byte("s"), 250), "%05d", i)
	}
	full := 0
	for n := range 3000 {
		m := protocol.Message{Command: protocol.Ready, Instance: uint64(n + 1), Link: 1, Seq: 1, Services: services}
		for _, o := range c.Worker(0, Peer{ID: fmt.Appendf(nil, "w%d", n)}, &m, nil) {
			if o.Kind == Send && o.Msg.Code == protocol.ReasonFull {
				full++
			}
		}
	}
	if most := partsMax / (200 * (255 + 24)); full < 3000-most {
		t.Errorf("%d of 3000 were told that there is no room, with %d bytes", full, c.partBytes)
	}
	if c.Tick(10*time.Second, nil); c.partBytes != 0 || len(c.workers) != 0 {
		t.Errorf("%d workers and %d bytes of names are left", len(c.workers), c.partBytes)
	}
	if err := c.Check(); err != nil {
		t.Error(err)
	}
}
