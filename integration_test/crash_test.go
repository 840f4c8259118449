package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/protocol"
)

// A worker that is killed is noticed by its broken connection, long before its
// heartbeats are missed: here at the default of one second, three times over.
func TestWorkerKilledMidRequest(t *testing.T) {
	const rounds = 5
	b := startBroker(t, "--heartbeat=1s")
	log := newRunLog(t)
	workers := startWorkers(t, 2, b, log)
	c := newClient(t, at(b))
	quick := 0
	for round := range rounds {
		g, body := newGate(t), fmt.Sprint("round ", round)
		held := begin(testContext(t), c, ask(g.do(), body))
		first := log.awaitStart(body, 1)
		killed := time.Now()
		byPID(t, workers, first).kill()
		second := log.awaitStart(body, 2)
		took := time.Since(killed)
		t.Logf("round %d: handed on %v after the kill", round, took)
		if took < time.Second {
			quick++
		}
		g.open()
		reply := wantReply(t, outcome(t, held), body)
		if reply.Attempt != 2 || second.pid == first.pid || !second.rerun || first.rerun {
			t.Errorf("attempt %d answered; runs: %s", reply.Attempt, describe(log.of(body)))
		}
		log.wantRuns(body, 2)
		workers = append(workers, startWorkers(t, 1, b, log)...)
	}
	if quick < rounds-1 {
		t.Errorf("%d of %d requests were handed on within a second", quick, rounds)
	}
}

// A frozen worker loses its request to another. When it goes on, its late reply
// reaches nobody, and it serves again.
func TestWorkerFrozenMidRequest(t *testing.T) {
	b := startBroker(t)
	log := newRunLog(t)
	workers := startWorkers(t, 2, b, log)
	c := newPipeline(t, at(b))
	g := newGate(t)
	held := begin(testContext(t), c, ask(g.do(), "held"))
	first := log.awaitStart("held", 1)
	frozen := byPID(t, workers, first)
	frozen.freeze()
	second := log.awaitStart("held", 2)
	g.openFor("2")
	reply := wantReply(t, outcome(t, held), "held")
	if reply.Attempt != 2 || pidOf(reply) != fmt.Sprint(second.pid) || !second.rerun {
		t.Errorf("attempt %d of worker %s answered; runs: %s", reply.Attempt, pidOf(reply), describe(log.of("held")))
	}

	frozen.thaw()
	g.openFor("1")
	log.awaitEnd("held", 1) // after that its reply is on its way
	b.awaitWorkers(3)
	served := map[string]bool{}
	eventually(t, patience, "both workers serve", func() bool {
		served[pidOf(do(t, c, ask("", fmt.Sprint("after ", len(served)))))] = true
		return len(served) == 2
	})
	log.wantRuns("held", 2)
}

// A frozen worker that goes on before the other has finished: its late reply
// is used, and the other run is ended.
func TestLateReplyIsUsed(t *testing.T) {
	b := startBroker(t)
	log := newRunLog(t)
	workers := startWorkers(t, 2, b, log)
	c := newClient(t, at(b))
	g := newGate(t)
	held := begin(testContext(t), c, ask(g.do(), "held"))
	first := log.awaitStart("held", 1)
	frozen := byPID(t, workers, first)
	frozen.freeze()
	log.awaitStart("held", 2)
	frozen.thaw()
	g.openFor("1")
	reply := wantReply(t, outcome(t, held), "held")
	if reply.Attempt != 1 || pidOf(reply) != fmt.Sprint(first.pid) {
		t.Errorf("attempt %d of worker %s answered; want 1 of %d", reply.Attempt, pidOf(reply), first.pid)
	}
	if how := log.awaitEnd("held", 2).end; how != "cancelled:another_attempt_has_finished" {
		t.Errorf("the other run ended %q", how)
	}
	log.wantRuns("held", 2)
}

// A handler that is busy for many times the liveness is not dead.
func TestSlowWorkerIsNotDead(t *testing.T) {
	b := startBroker(t, "--heartbeat=100ms")
	log := newRunLog(t)
	startWorkers(t, 2, b, log)
	reply := do(t, newClient(t, at(b)), ask("sleep 1500ms", "slow"))
	if reply.Attempt != 1 {
		t.Errorf("attempt %d answered", reply.Attempt)
	}
	log.wantOnce([]string{reply.ID.String()})
	if n := b.log.seen("worker_lost") + b.log.seen("link_reset"); n > 0 {
		t.Errorf("%d workers were lost", n)
	}
}

// An at-most-once request is not started a second time, whatever becomes of
// its worker.
func TestAtMostOnceWithKilledWorker(t *testing.T) {
	b := startBroker(t)
	log := newRunLog(t)
	workers := startWorkers(t, 2, b, log)
	whole := t
	withBoth(t, func(t *testing.T, newAsker func(client.Config) asker) {
		c := newAsker(at(b))
		body := "once " + t.Name()
		r := ask(newGate(t).do(), body)
		r.AtMostOnce = true
		held := begin(testContext(t), c, r)
		byPID(t, workers, log.awaitStart(body, 1)).kill()
		e := wantError(t, outcome(t, held).err, client.ErrWorkerLost, protocol.MaybeStarted)
		do(t, c, ask("", "after "+body)) // would come after a second hand-over
		log.wantRuns(body, 1)
		log.wantRuns(e.ID.String(), 1)
		workers = append(workers, startWorkers(whole, 1, b, log)...)
	})
}

// A request that kills its worker kills three, and is put aside. The fourth
// lives, and no neighbour pays for it.
func TestPoison(t *testing.T) {
	b := startBroker(t)
	log := newRunLog(t)
	var workers []*process
	for range 4 {
		workers = append(workers, startWorker(t, log, workerConfig{Brokers: []string{b.back}, Concurrency: 4}))
	}
	b.awaitWorkers(4)
	c := newPipeline(t, at(b))
	neighbours := startLoad(t, c, 200, func(i int) client.Request { return ask("sleep 20ms", fmt.Sprint("neighbour ", i)) })
	eventually(t, patience, "the neighbours run", func() bool { return log.ended() > 0 })
	poison := outcome(t, begin(testContext(t), c, ask("die", "poison")))
	e := wantError(t, poison.err, client.ErrWorkerLost, protocol.MaybeStarted)
	b.awaitState("dead_letter", e.ID)
	neighbours.wantAll()

	killed := map[int]bool{}
	for _, r := range log.of("poison") {
		killed[r.pid] = true
	}
	if len(killed) != 3 || len(log.of("poison")) != 3 {
		t.Errorf("the poison killed %d workers, in %d runs: %s", len(killed), len(log.of("poison")), describe(log.of("poison")))
	}
	alive := 0
	for _, w := range workers {
		if w.alive() {
			alive++
			if reply := do(t, c, ask("", "after")); pidOf(reply) != fmt.Sprint(w.pid()) {
				t.Errorf("served by %s, want %d", pidOf(reply), w.pid())
			}
		}
	}
	if alive != 1 {
		t.Errorf("%d of 4 workers live", alive)
	}
	for _, id := range neighbours.ids {
		if rs := log.of(id); len(rs) < 1 || len(rs) > 2 {
			t.Errorf("a neighbour ran %d times: %s", len(rs), describe(rs))
		}
	}
}
