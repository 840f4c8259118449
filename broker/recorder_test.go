package broker

import (
	"fmt"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/protocol"
)

// TestRecorder: the newest steps are kept, of all requests together.
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
	if len(r.stories.newest()) != 0 {
		t.Error("an OK among the failures")
	}
}

// TestUnaskedEnds: what workers remember and nobody asks for after a restart is no
// request of this broker's, and no failure. What a worker says of it is.
func TestUnaskedEnds(t *testing.T) {
	r, m := newRecorder(100), newMetrics(&Broker{cfg: Config{}.withDefaults()})
	end := func(service string, code protocol.Code) {
		e := core.Event{What: core.EventFinished, ID: protocol.ID{1}, Service: service, Code: code}
		r.add(0, &e)
		m.note(0, &e)
	}
	for range 1000 {
		end("", protocol.Gone)
	}
	end("", protocol.Expired)
	end("", protocol.Cancelled)
	if n := len(r.stories.newest()); n > 0 || len(m.services) > 0 {
		t.Errorf("%d failures, %d services", n, len(m.services))
	}
	end("s", protocol.Gone)
	end("s", protocol.Expired)
	end("", protocol.Failed)
	end("", protocol.OK)
	if n := len(r.stories.newest()); n != 3 || m.services["s"].failed != 2 || m.services[""].failed != 1 || m.services[""].done != 2 {
		t.Errorf("%d failures, %+v", n, m.services)
	}
}

// play is the life of one request, in three steps.
func (r *recorder) play(at time.Duration, n int, service string, code protocol.Code) protocol.ID {
	id := protocol.ID{0: byte(code), 12: byte(n >> 24), 13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)}
	r.add(at, &core.Event{What: core.EventAccepted, ID: id, Service: service})
	r.add(at+1, &core.Event{What: core.EventHandedOut, ID: id, Service: service, Worker: 7, Attempt: 1})
	r.add(at+2, &core.Event{What: core.EventFinished, ID: id, Service: service, Code: code, Reason: "so it is"})
	return id
}

// TestStoriesStay: what failed can be asked for when the ring has gone round many
// times, whatever else ends or fails meanwhile, and of whatever service.
func TestStoriesStay(t *testing.T) {
	r := newRecorder(100)
	failed := r.play(1, 1, "mail", protocol.Failed)
	lost := r.play(5, 2, "mail", protocol.WorkerLost)
	for i := range 20_000 {
		r.play(time.Duration(10+10*i), 10+i, "sum", protocol.OK)
		r.play(time.Duration(13+10*i), 10+i, "sum", protocol.Failed)                           // another service's
		r.play(time.Duration(16+10*i), 10+i, fmt.Sprintf("made-up-%d", i), protocol.NoService) // names
	}
	for i, id := range []protocol.ID{failed, lost} {
		s := r.of(id)
		if len(s) != 3 || s[0].what != core.EventAccepted || s[1].worker != 7 || s[2].reason != "so it is" {
			t.Errorf("story %d: %+v", i, s)
		}
	}
	kinds := map[string]int{}
	for _, st := range r.stories.newest() {
		kinds[st.service+" "+st.code.String()]++
	}
	if kinds["mail FAILED"] != 1 || kinds["mail WORKER_LOST"] != 1 || kinds["sum FAILED"] != kindStories || len(kinds) > 3+kindsMax {
		t.Errorf("kinds: %v", kinds)
	}
	// What happens to it later comes after what is kept.
	r.add(1<<40, &core.Event{What: core.EventReplayed, ID: failed})
	if s := r.of(failed); len(s) != 4 || s[3].what != core.EventReplayed || s[0].what != core.EventAccepted {
		t.Errorf("after it was asked for again: %+v", s)
	}
}

// TestStoriesOfNames: names that are made up push out no service's stories.
func TestStoriesOfNames(t *testing.T) {
	r := newRecorder(100)
	ids := []protocol.ID{r.play(1, 1, "mail", protocol.Expired), r.play(2, 2, "mail", protocol.Expired)}
	for i := range 1000 {
		r.play(time.Duration(10+i), 10+i, fmt.Sprintf("made-up-%d", i), protocol.Expired)
	}
	if len(r.of(ids[0])) != 3 || len(r.of(ids[1])) != 3 {
		t.Error("the stories of mail are gone")
	}
	later := r.play(staleAfter+time.Hour, 5000, "new", protocol.Expired)
	if len(r.of(later)) != 3 || len(r.of(ids[0])) != 0 {
		t.Error("what is old has kept its place from what is new")
	}
}

// TestStoriesOfDeadLetters: a dead letter has its story for as long as it is kept.
func TestStoriesOfDeadLetters(t *testing.T) {
	r := newRecorder(100)
	die := func(n int) protocol.ID {
		id := protocol.ID{0: 9, 14: byte(n >> 8), 15: byte(n)}
		r.add(time.Duration(n), &core.Event{What: core.EventAccepted, ID: id, Service: "mail"})
		r.add(time.Duration(n), &core.Event{What: core.EventDeadLetter, ID: id, Service: "mail", Code: protocol.WorkerLost})
		r.add(time.Duration(n), &core.Event{What: core.EventFinished, ID: id, Service: "mail", Code: protocol.WorkerLost})
		return id
	}
	first := die(1)
	for n := 2; n < storiesDead; n++ {
		die(n)
	}
	if s := r.of(first); len(s) != 3 || s[1].what != core.EventDeadLetter {
		t.Errorf("its story: %+v", s)
	}
	r.add(5000, &core.Event{What: core.DropDeadLetter, ID: first})
	for n := range 200 { // the ring goes on
		r.play(time.Duration(5000+n), n, "sum", protocol.OK)
	}
	if s := r.of(first); len(s) != 0 || len(r.stories.dead) != storiesDead-2 {
		t.Errorf("dropped, it has %+v; %d are kept", s, len(r.stories.dead))
	}
}

// TestLongStory: one request with steps without end costs no more than another.
func TestLongStory(t *testing.T) {
	r := newRecorder(10_000)
	id := protocol.ID{15: 1}
	r.add(0, &core.Event{What: core.EventAccepted, ID: id, Service: "mail"})
	for i := range 20 {
		r.add(time.Duration(1+i), &core.Event{What: core.EventJoined, ID: id})
	}
	r.add(30, &core.Event{What: core.EventFinished, ID: id, Service: "mail", Code: protocol.Failed})
	st, ok := r.stories.of(id)
	if !ok || len(st.steps) != storySteps || st.steps[0].what != core.EventAccepted || st.steps[1].at != 7 || st.steps[storySteps-1].code != protocol.Failed {
		t.Errorf("%d steps: %+v", len(st.steps), st.steps)
	}
	if s := r.of(id); len(s) != 22 {
		t.Errorf("while all are in the ring: %d steps", len(s))
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
			m.note(1, &e)
		}
	}
}
