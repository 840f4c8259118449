package integration

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/protocol"
)

// A worker that is told to stop under load finishes what it runs, hands back
// the rest, and ends with exit code 0. Nothing is lost or run twice.
func TestWorkerDrainsUnderLoad(t *testing.T) {
	const n = 400
	b := startBroker(t)
	log := newRunLog(t)
	var workers []*process
	for range 3 {
		workers = append(workers, startWorker(t, log, workerConfig{Brokers: []string{b.back}, Concurrency: 4}))
	}
	b.awaitWorkers(3)
	l := startLoad(t, newPipeline(t, at(b)), n, func(i int) client.Request { return ask("sleep 20ms", fmt.Sprint("request ", i)) })
	for i, w := range workers[:2] {
		eventually(t, patience, "the load goes on", func() bool { return log.ended() >= (i+1)*n/8 })
		w.signal(sigterm)
	}
	for _, w := range workers[:2] {
		if code := w.exitCode(); code != 0 {
			t.Errorf("the worker's exit code is %d, want 0", code)
		}
	}
	l.wantAll()
	log.wantOnce(l.ids)
	if left := b.log.seen("worker_left"); left != 2 {
		t.Errorf("%d workers took their leave, want 2", left)
	}
}

// A run that outlasts the drain time-out is handed back, and runs again
// elsewhere; its handler is told why.
func TestWorkerDrainTimeout(t *testing.T) {
	b := startBroker(t)
	log := newRunLog(t)
	w := startWorker(t, log, workerConfig{Brokers: []string{b.back}, DrainTimeout: 300 * time.Millisecond})
	b.awaitWorkers(1)
	g := newGate(t)
	held := begin(testContext(t), newClient(t, at(b)), ask(g.do(), "held"))
	log.awaitStart("held", 1)
	startWorkers(t, 1, b, log)
	w.signal(sigterm)
	second := log.awaitStart("held", 2)
	if code := w.exitCode(); code != 0 {
		t.Errorf("the worker's exit code is %d, want 0", code)
	}
	g.open()
	wantReply(t, outcome(t, held), "held")
	if first := log.of("held")[0]; first.end != "cancelled:the_worker_is_stopping" || !second.rerun {
		t.Errorf("runs: %s", describe(log.of("held")))
	}
	log.wantRuns("held", 2)
}

// A broker that is told to stop under load finishes what it has taken and
// refuses the rest, which its clients know not to have started.
func TestBrokerDrainsUnderLoad(t *testing.T) {
	b := startBroker(t)
	log := newRunLog(t)
	for range 2 {
		startWorker(t, log, workerConfig{Brokers: []string{b.back}, Concurrency: 2})
	}
	b.awaitWorkers(2)
	g := newGate(t)
	held := begin(testContext(t), newClient(t, at(b)), ask(g.do(), "held"))
	log.awaitStart("held", 1)
	taken := startLoad(t, newPipeline(t, at(b)), 200, func(i int) client.Request { return ask("sleep 5ms", fmt.Sprint("taken ", i)) })
	eventually(t, patience, "all is taken", func() bool { return b.log.seen("accepted") >= 201 })
	b.signal(sigterm)
	eventually(t, patience, "the broker drains", func() bool { return b.log.seen("draining") > 0 })
	cfg := at(b)
	cfg.Deadline = time.Second // until then a client waits for the broker's return
	late := startLoad(t, newPipeline(t, cfg), 50, func(i int) client.Request { return ask("", fmt.Sprint("late ", i)) })
	late.wait()
	for _, err := range late.errs {
		wantError(t, err, client.ErrDraining, protocol.NotStarted)
	}
	taken.wantAll()
	g.open()
	ids := append(taken.ids, wantReply(t, outcome(t, held), "held").ID.String())
	if code := b.exitCode(); code != 0 {
		t.Errorf("the broker's exit code is %d, want 0", code)
	}
	log.wantOnce(ids)
}

// What a broker cannot finish within its drain time-out is not lost: what never
// ran is said to be so, and the next broker gets what a worker holds.
func TestBrokerDrainTimeout(t *testing.T) {
	b := startBrokerAt(t, fixedEndpoint(t), fixedEndpoint(t), "--drain-timeout=500ms", "--recovery-window=6s")
	log := newRunLog(t)
	startWorkers(t, 1, b, log)
	g := newGate(t)
	held := begin(testContext(t), newClient(t, patient(at(b))), ask(g.do(), "held"))
	log.awaitStart("held", 1)
	cfg := at(b)
	cfg.Deadline = 2 * time.Second
	c := newClient(t, cfg)
	var queued []<-chan answer
	for i := range 8 {
		queued = append(queued, begin(testContext(t), c, ask("", fmt.Sprint("queued ", i))))
	}
	eventually(t, patience, "all are queued", func() bool { return b.log.seen("accepted") == 9 })
	b.signal(sigterm)
	// An answer may die with its connection: then its client cannot know.
	refused := 0
	for _, q := range queued {
		if err := outcome(t, q).err; errors.Is(err, client.ErrUnknown) {
			wantError(t, err, client.ErrUnknown, protocol.MaybeStarted)
		} else {
			wantError(t, err, client.ErrDraining, protocol.NotStarted)
			refused++
		}
	}
	if refused < 4 {
		t.Errorf("%d of 8 clients were told that the broker is shutting down", refused)
	}
	if code := b.exitCode(); code != 0 {
		t.Errorf("the broker's exit code is %d, want 0", code)
	}
	b.run(t)
	b.awaitWorkers(1)
	g.open()
	id := wantReply(t, outcome(t, held), "held").ID.String()
	log.wantOnce([]string{id}) // and nothing else
}

// A second signal ends a broker at once.
func TestSecondSignal(t *testing.T) {
	b := startBroker(t, "--drain-timeout=1h")
	log := newRunLog(t)
	startWorkers(t, 1, b, log)
	held := begin(testContext(t), newClient(t, client.Config{Brokers: []string{b.front}, Deadline: 3 * time.Second}), ask(newGate(t).do(), "held"))
	log.awaitStart("held", 1)
	b.signal(sigterm)
	eventually(t, patience, "the broker drains", func() bool { return b.log.seen("draining") > 0 })
	b.signal(sigterm)
	if code := b.exitCode(); code == 0 {
		t.Error("exit code 0 after a second signal")
	}
	if a := outcome(t, held); !errors.Is(a.err, client.ErrUnknown) && !errors.Is(a.err, client.ErrExpired) {
		t.Errorf("%v", a.err)
	}
	log.wantRuns("held", 1)
}
