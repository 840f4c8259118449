package integration

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/protocol"
)

// The broker is killed in the middle of a load, and a new one started on the
// same ports. Nothing is lost, and nothing runs twice: the workers that hold
// the requests live on, and say so.
func TestBrokerKilledAndRestarted(t *testing.T) {
	const n = 300
	b := startBrokerAt(t, fixedEndpoint(t), fixedEndpoint(t), "--recovery-window=6s")
	log := newRunLog(t)
	for range 3 {
		startWorker(t, log, workerConfig{Brokers: []string{b.back}, Concurrency: 4})
	}
	b.awaitWorkers(3)
	single := newClient(t, patient(at(b)))
	g := newGate(t)
	held := begin(testContext(t), single, ask(g.do(), "held across"))
	once := ask(g.do(), "held across, at most once")
	once.AtMostOnce = true
	heldOnce := begin(testContext(t), single, once)
	log.awaitStart("held across", 1)
	log.awaitStart("held across, at most once", 1)
	l := startLoad(t, newPipeline(t, patient(at(b))), n, func(i int) client.Request { return ask("sleep 30ms", fmt.Sprint("request ", i)) })
	eventually(t, patience, "a third of the load is done", func() bool { return log.ended() >= n/3 })
	b.restart()
	b.awaitWorkers(3)
	g.open()
	reply, replyOnce := wantReply(t, outcome(t, held), "held across"), wantReply(t, outcome(t, heldOnce), "held across, at most once")
	l.wantAll()
	log.wantOnce(append(l.ids, reply.ID.String(), replyOnce.ID.String()))
	if reply.Attempt != 1 {
		t.Errorf("attempt %d answered what was held across the restart", reply.Attempt)
	}
}

// Workers and clients may come before their broker.
func TestBrokerStartedLast(t *testing.T) {
	front, back := fixedEndpoint(t), fixedEndpoint(t)
	log := newRunLog(t)
	w := startWorker(t, log, workerConfig{Brokers: []string{back}, ReconnectMax: 300 * time.Millisecond})
	var early []<-chan answer
	early = append(early, begin(testContext(t), newClient(t, patient(client.Config{Brokers: []string{front}})), ask("", "early client")))
	early = append(early, begin(testContext(t), newPipeline(t, patient(client.Config{Brokers: []string{front}})), ask("", "early pipeline")))
	eventually(t, patience, "the worker tries", func() bool { return w.log.seen("joining") > 0 })
	startBrokerAt(t, front, back)
	ids := []string{
		wantReply(t, outcome(t, early[0]), "early client").ID.String(),
		wantReply(t, outcome(t, early[1]), "early pipeline").ID.String(),
	}
	log.wantOnce(ids)
}

// Without any broker a client says that nothing was sent, in good time.
func TestNoBroker(t *testing.T) {
	cfg := client.Config{Brokers: []string{fixedEndpoint(t)}, Deadline: time.Second}
	withBoth(t, func(t *testing.T, newAsker func(client.Config) asker) {
		a := outcome(t, begin(testContext(t), newAsker(cfg), ask("", "x")))
		wantError(t, a.err, client.ErrUnreachable, protocol.NotStarted)
		if a.took > 5*time.Second {
			t.Errorf("it took %v", a.took)
		}
	})
}

// Of two brokers one is killed: the clients ask the other. What had been sent
// to the first may run at both, and the outcome says so.
func TestTwoBrokersOneKilled(t *testing.T) {
	const n = 200
	a, b := startBroker(t), startBroker(t, noWindow)
	log := newRunLog(t)
	for range 2 {
		startWorker(t, log, workerConfig{Brokers: []string{a.back, b.back}, Concurrency: 4})
	}
	a.awaitWorkers(2)
	b.awaitWorkers(2)
	withBoth(t, func(t *testing.T, newAsker func(client.Config) asker) {
		// The first of the list is asked first.
		if reply := do(t, newAsker(at(a, b)), ask("", "before "+t.Name())); reply.Broker != a.front {
			t.Errorf("broker %s answered, want %s", reply.Broker, a.front)
		}
	})
	once := ask(newGate(t).do(), "at most once")
	once.AtMostOnce, once.Deadline = true, 4*time.Second
	cfg := patient(at(a, b))
	heldOnce := begin(testContext(t), newClient(t, cfg), once)
	log.awaitStart("at most once", 1)
	began := log.ended()
	l := startLoad(t, newPipeline(t, cfg), n, func(i int) client.Request { return ask("sleep 20ms", fmt.Sprint("request ", i)) })
	eventually(t, patience, "a quarter of the load is done", func() bool { return log.ended() >= began+n/4 })
	a.kill()
	l.wantAll()
	all, moved, twice := log.read(), 0, 0
	for i, id := range l.ids {
		switch rs := all[id]; {
		case len(rs) == 0:
			t.Errorf("request %d never ran", i)
		case len(rs) > 2, len(rs) == 2 && !l.over[i]:
			t.Errorf("request %d, failed over %v, ran %d times: %s", i, l.over[i], len(rs), describe(rs))
		case len(rs) == 2:
			twice++
		}
		if l.over[i] {
			moved++
		}
	}
	t.Logf("%d of %d requests failed over, %d ran at both", moved, n, twice)
	if moved == 0 {
		t.Error("no request failed over")
	}
	// An at-most-once request that had been sent does not move.
	wantError(t, outcome(t, heldOnce).err, client.ErrUnknown, protocol.MaybeStarted)
	log.wantRuns("at most once", 1)
	if reply := do(t, newClient(t, cfg), ask("", "after")); reply.Broker != b.front {
		t.Errorf("broker %s answered, want %s", reply.Broker, b.front)
	}
}

// A client process that is killed takes its request up again by its id.
func TestKilledClientTakesUpItsRequest(t *testing.T) {
	b := startBroker(t, noWindow)
	log := newRunLog(t)
	startWorkers(t, 1, b, log)
	g, id := newGate(t), newID()
	args := []string{"request", "--broker", b.front, "--id", id.String(), "--header", "do=" + g.do(), "default", "mine"}
	first := start(t, "first client", nil, binary, args...)
	log.awaitStart("mine", 1)
	first.kill()
	second := start(t, "second client", nil, binary, args...)
	b.awaitState("joined", id)
	g.open()
	if code := second.exitCode(); code != 0 || second.stdout.String() != "mine" {
		t.Errorf("exit %d, stdout %q", code, second.stdout.String())
	}
	log.wantOnce([]string{id.String()})
}

// Two clients, of different processes' making, ask for one id: both are
// answered, and it runs once. A third one that comes later gets the same reply.
func TestTwoClientsOneID(t *testing.T) {
	b := startBroker(t, noWindow)
	log := newRunLog(t)
	startWorkers(t, 2, b, log)
	g, id := newGate(t), newID()
	first := begin(testContext(t), newClient(t, at(b)), askAs(id, g.do(), "shared"))
	log.awaitStart("shared", 1)
	second := begin(testContext(t), newPipeline(t, at(b)), askAs(id, g.do(), "shared"))
	b.awaitState("joined", id)
	g.open()
	for _, a := range []<-chan answer{first, second, begin(testContext(t), newClient(t, at(b)), askAs(id, g.do(), "shared"))} {
		if reply := wantReply(t, outcome(t, a), "shared"); reply.ID != id || reply.Attempt != 1 {
			t.Errorf("%+v", reply)
		}
	}
	log.wantOnce([]string{id.String()})
}

// An id belongs to its content.
func TestSameIDOtherBody(t *testing.T) {
	b := startBroker(t, noWindow)
	log := newRunLog(t)
	startWorkers(t, 2, b, log)
	g, id := newGate(t), newID()
	first := begin(testContext(t), newClient(t, at(b)), askAs(id, g.do(), "mine"))
	log.awaitStart("mine", 1)
	others := []client.Request{
		askAs(id, g.do(), "theirs"),
		{ID: id, Service: "default", Frames: [][]byte{[]byte("mi"), []byte("ne")}},
		{ID: id, Service: "other", Body: []byte("mine")},
		{ID: id, Service: "default", Body: []byte("mine"), AtMostOnce: true},
	}
	refused := func() {
		t.Helper()
		for _, r := range others {
			// The id came from the caller: what other tries of it did, this one cannot know.
			wantError(t, outcome(t, begin(testContext(t), newClient(t, at(b)), r)).err, client.ErrInvalid, protocol.MaybeStarted)
		}
	}
	refused()
	g.open()
	wantReply(t, outcome(t, first), "mine")
	refused()
	var e *client.Error
	if _, err := newClient(t, at(b)).Do(testContext(t), askAs(id, g.do(), "mine")); errors.As(err, &e) {
		t.Errorf("the same again: %v", err)
	}
	log.wantOnce([]string{id.String()})
}
