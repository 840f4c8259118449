package broker

import (
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/protocol"
)

// TestRecorder: the newest steps are kept, and the newest failures.
func TestRecorder(t *testing.T) {
	r := newRecorder(4)
	id := func(i int) protocol.ID { return protocol.ID{15: byte(i + 1)} }
	r.add(0, &core.Event{What: core.EventDraining})
	for i := range 6 {
		r.add(time.Duration(i), &core.Event{What: core.EventFinished, ID: id(i / 2), Code: protocol.OK})
	}
	if n := len(r.of(id(0))); n != 0 {
		t.Errorf("%d steps of what the ring has gone over", n)
	}
	if s := r.of(id(2)); len(s) != 2 || s[0].at != 4 || s[1].at != 5 {
		t.Errorf("steps %+v", s)
	}
	if len(r.newest()) != 0 {
		t.Error("an OK among the failures")
	}
	for i := range failuresMax + 10 {
		r.add(time.Duration(i), &core.Event{What: core.EventFinished, ID: id(0), Code: protocol.Expired})
	}
	list := r.newest()
	if len(list) != failuresMax || list[0].at != failuresMax+9 || list[failuresMax-1].at != 10 {
		t.Errorf("%d failures, from %v to %v", len(list), list[0].at, list[len(list)-1].at)
	}
}

// BenchmarkNotes is what the recorder and the metrics cost for one request: it
// is accepted, handed out, started and finished.
func BenchmarkNotes(b *testing.B) {
	br := &Broker{cfg: Config{}.withDefaults()}
	m, r := newMetrics(br), newRecorder(50_000)
	e := core.Event{ID: protocol.ID{1}, Service: "echo", Worker: 7, Attempt: 1, Took: time.Millisecond, Code: protocol.OK}
	b.ReportAllocs()
	for b.Loop() {
		for _, what := range []core.What{core.EventAccepted, core.EventHandedOut, core.EventStarted, core.EventFinished} {
			e.What = what
			r.add(1, &e)
			m.note(&e)
		}
	}
}
