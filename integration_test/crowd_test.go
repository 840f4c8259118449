package integration

import (
	"fmt"
	"sync"
	"testing"

	"github.com/privateer-mq/privateer/client"
)

// 200 workers, in 4 processes, and 50 clients with a socket pool each.
func TestTwoHundredWorkersFiftyClients(t *testing.T) {
	const processes, workers, clients, each = 4, 200, 50, 20
	b := startBroker(t, "--heartbeat=1s", "--log-level=info")
	log := newRunLog(t)
	for range processes {
		startWorker(t, log, workerConfig{Brokers: []string{b.back}, Workers: workers / processes})
	}
	b.awaitWorkers(workers)
	cfg := at(b)
	cfg.MaxInFlight = 4
	ids := make([][]string, clients)
	var all sync.WaitGroup
	ctx := testContext(t)
	for i := range clients {
		c := newClient(t, cfg)
		ids[i] = make([]string, each)
		for j := range each {
			all.Go(func() {
				r := ask("sleep 10ms", fmt.Sprintf("client %d, request %d", i, j))
				reply, err := c.Do(ctx, client.Request(r))
				if err != nil || string(reply.Body()) != string(r.Body) {
					t.Errorf("%s: reply %q, %v", r.Body, reply.Body(), err)
				}
				ids[i][j] = reply.ID.String()
			})
		}
	}
	all.Wait()
	var sent []string
	for i := range ids {
		sent = append(sent, ids[i]...)
	}
	log.wantOnce(sent)
	if n := len(log.read().workers()); n < workers*9/10 {
		t.Errorf("%d of %d workers ran anything", n, workers)
	}
	if n := b.log.seen("worker_lost"); n > 0 {
		t.Errorf("%d workers were lost", n)
	}
	b.wantHealthy()
}
