package integration

import (
	"slices"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/client"
)

// The broker judges the silence of a worker without PRV1 by the worker's own
// rhythm, which may be another than the broker's.
func TestRhythms(t *testing.T) {
	t.Parallel() // it is idle, too
	const idle, busy = 12 * time.Second, 6 * time.Second
	b := startBroker(t, "--heartbeat=1s", "--default-service=pirate")
	over := time.After(idle)
	startPPWorker(t, b.back, "--heartbeat", "2.5s")
	startMDWorker(t, b.back, "0.1", "majordomo", "--heartbeat", "2.5s")
	startMDWorker(t, b.back, "0.2", "slow", "--heartbeat", "4s") // over the broker's own liveness
	frozen := startMDWorker(t, b.front, "0.2", "frozen", "--heartbeat", "500ms")
	startMDWorker(t, b.back, "0.1", "single", "--heartbeat", "500ms", "--single", "--delay", busy.String())
	b.awaitWorkers(5)
	p := newPipeline(t, at(b))

	// A few heartbeats are enough to know these two by.
	<-time.After(2500 * time.Millisecond)
	held := begin(testContext(t), p, client.Request{Service: "single", Body: []byte("held")})
	frozen.freeze()
	stood := time.Now()
	eventually(t, patience, "the silent worker is lost", func() bool { return slices.Contains(b.lostServices(), "frozen") })
	if took := time.Since(stood); took < time.Second || took > 8*time.Second { // 13 s, were it not known
		t.Errorf("a silent worker was lost after %v, want 3 s", took)
	}
	c := dial(t, dealer, b.front)
	c.mdAsk(mdp01, "mmi.service", "frozen")
	c.mdExpect(mdp01, "mmi.service", "404")

	reply := wantReply(t, outcome(t, held), "held")
	if reply.Attempt != 1 || b.log.seenOf("handed_out", reply.ID.String()) != 1 {
		t.Errorf("what a busy worker held was handed out %d times", b.log.seenOf("handed_out", reply.ID.String()))
	}
	frozen.thaw() // it is told, and comes back
	b.awaitWorkers(6)

	<-over
	for _, service := range []string{"pirate", "majordomo", "slow", "frozen"} {
		body := "after the silence, to " + service
		if r := do(t, p, client.Request{Service: service, Body: []byte(body)}); r.Attempt != 1 {
			t.Errorf("%s: attempt %d answered", service, r.Attempt)
		}
	}
	if lost := b.lostServices(); !slices.Equal(lost, []string{"frozen"}) {
		t.Errorf("the workers of %q were lost, want only the frozen one", lost)
	}
}

// lostServices are the services of the workers that were lost.
func (b *brokerProcess) lostServices() (lost []string) {
	service := map[string]string{}
	for _, e := range b.log.events("worker_ready", "worker_lost") {
		if e.State == "worker_ready" {
			service[e.Worker] = e.Service
		} else {
			lost = append(lost, service[e.Worker])
		}
	}
	return lost
}
