package core

import (
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// A service is emptied in slices, none of which does much: what waits, what runs, what
// is to be tried again. What comes after the beginning stays.
func TestWithdrawInSlices(t *testing.T) {
	l := newLabourer(t, func(cfg *Config) { cfg.MaxQueue, cfg.MaxQueueBytes = 20_000, 1<<30 })
	l.joins(300, "s", "t")
	ask := func(n int, service string) {
		l.asks(protocol.Message{Command: protocol.Request, ID: numbered(n), Service: []byte(service), Code: protocol.Code(n % 3)})
	}
	const asked = 3000
	for n := range asked {
		ask(n, "s")
		if n < 10 {
			l.works(protocol.Message{Command: protocol.Reply, Code: protocol.Retry, ID: numbered(n), Number: 1})
		}
	}
	for n := range 50 {
		ask(asked+n, "t")
	}
	w := Withdrawal{Service: "s"}
	l.c.Tick(time.Millisecond, nil)
	slices, late, moved, last := 0, asked+1000, false, 309
	if r := l.c.workers[1].runs.tail; r.id != numbered(last) {
		t.Fatalf("the worker was given %v last", r.id)
	}
	for done := false; !done; slices++ {
		var out []Output
		before := w.Ended
		out, done = l.c.WithdrawSome(l.c.now, &w, nil)
		l.did(out)
		l.check()
		if n := w.Ended - before; n > withdrawMost {
			t.Fatalf("%d in one slice", n)
		}
		l.c.Tick(l.c.now+time.Millisecond, nil)
		ask(late, "s")
		late++
		if w.place > 4 && !moved { // from a list that comes yet to one that came before
			moved = true
			l.works(protocol.Message{Command: protocol.Reply, Code: protocol.HandedBack, ID: numbered(last), Number: 1})
			if n := l.c.services["s"].later.size; n != 1 {
				t.Fatalf("%d are to be tried again", n)
			}
		}
	}
	if !w.Known || w.More || w.Ended != asked || slices < asked/withdrawMost {
		t.Errorf("%+v after %d slices, want %d ended", w, slices, asked)
	}
	if open, _ := l.c.Requests(l.c.now, Query{Service: "s"}); len(open) != late-asked-1000 {
		t.Errorf("%d are open, want the %d that came later", len(open), late-asked-1000)
	}
	if open, _ := l.c.Requests(l.c.now, Query{Service: "t"}); len(open) != 50 {
		t.Errorf("%d of the other service are open, want 50", len(open))
	}
}

// Where too many that came later stand before the others, it says that there may be more.
func TestWithdrawLooksAtSoMany(t *testing.T) {
	l := newLabourer(t, func(cfg *Config) { cfg.MaxQueue, cfg.MaxQueueBytes, cfg.MaxIDs = 2*looksMost, 1<<30, 1<<20 })
	for n := range looksMost + 1 {
		l.asks(protocol.Message{ID: numbered(n)})
	}
	w := Withdrawal{Service: "s", began: true, until: -1}
	if _, done := l.c.WithdrawSome(0, &w, nil); !done || !w.More || w.Ended != 0 {
		t.Errorf("%+v, done %t", w, done)
	}
}
