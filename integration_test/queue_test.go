package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/protocol"
)

// slack is what a busy machine may add to a time that is promised.
const slack = 3 * time.Second

func TestDeadlineInTheQueue(t *testing.T) {
	b := startBroker(t)
	log := newRunLog(t)
	withBoth(t, func(t *testing.T, newAsker func(client.Config) asker) {
		c := newAsker(at(b))
		r := ask("", "too late "+t.Name())
		r.Deadline = 500 * time.Millisecond
		a := outcome(t, begin(testContext(t), c, r))
		e := wantError(t, a.err, client.ErrExpired, protocol.NotStarted)
		if e.Broker != b.front {
			t.Errorf("broker %q; want its own verdict", e.Broker)
		}
		if a.took < r.Deadline || a.took > r.Deadline+heartbeat+250*time.Millisecond+slack {
			t.Errorf("it took %v with a deadline of %v", a.took, r.Deadline)
		}
		w := startWorkers(t, 1, b, log)[0]
		do(t, c, ask("", "in time "+t.Name()))
		log.wantRuns("too late "+t.Name(), 0)
		w.kill()
	})
}

func TestDeadlineInFlight(t *testing.T) {
	b := startBroker(t)
	log := newRunLog(t)
	startWorkers(t, 1, b, log)
	withBoth(t, func(t *testing.T, newAsker func(client.Config) asker) {
		c := newAsker(at(b))
		r := ask("sleep 1h", "too long "+t.Name())
		r.Deadline = 700 * time.Millisecond
		a := outcome(t, begin(testContext(t), c, r))
		e := wantError(t, a.err, client.ErrExpired, protocol.MaybeStarted)
		if a.took > r.Deadline+heartbeat+250*time.Millisecond+slack {
			t.Errorf("it took %v with a deadline of %v", a.took, r.Deadline)
		}
		if how := log.awaitEnd(e.ID.String(), 1).end; !strings.HasPrefix(how, "cancelled:the_request's_deadline_has_passed") {
			t.Errorf("the run ended %q", how)
		}
		do(t, c, ask("", "next "+t.Name()))
		log.wantRuns(e.ID.String(), 1)
	})
}

func TestCancelQueued(t *testing.T) {
	b := startBroker(t)
	log := newRunLog(t)
	startWorkers(t, 1, b, log)
	withBoth(t, func(t *testing.T, newAsker func(client.Config) asker) {
		c := newAsker(at(b))
		g := newGate(t)
		busy, withdrawn := "busy "+t.Name(), "withdrawn "+t.Name()
		first := begin(testContext(t), c, ask(g.do(), busy))
		log.awaitStart(busy, 1)
		accepted := b.log.seen("accepted")
		ctx, cancel := context.WithCancel(testContext(t))
		second := begin(ctx, c, ask("", withdrawn))
		eventually(t, patience, "the second request is queued", func() bool { return b.log.seen("accepted") > accepted })
		cancel()
		a := outcome(t, second)
		wantError(t, a.err, client.ErrCancelled, protocol.NotStarted)
		if !errors.Is(a.err, context.Canceled) {
			t.Errorf("%v does not say that its context ended", a.err)
		}
		g.open()
		wantReply(t, outcome(t, first), busy)
		do(t, c, ask("", "after "+t.Name()))
		log.wantRuns(withdrawn, 0)
		log.wantRuns(busy, 1)
	})
}

func TestCancelRunning(t *testing.T) {
	b := startBroker(t)
	log := newRunLog(t)
	startWorkers(t, 1, b, log)
	withBoth(t, func(t *testing.T, newAsker func(client.Config) asker) {
		c := newAsker(at(b))
		body := "withdrawn " + t.Name()
		ctx, cancel := context.WithCancel(testContext(t))
		running := begin(ctx, c, ask("sleep 1h", body))
		log.awaitStart(body, 1)
		cancel()
		a := outcome(t, running)
		wantError(t, a.err, client.ErrCancelled, protocol.MaybeStarted)
		if how := log.awaitEnd(body, 1).end; how != "cancelled:the_client_has_withdrawn_the_request" {
			t.Errorf("the run ended %q", how)
		}
		do(t, c, ask("", "after "+t.Name()))
		log.wantRuns(body, 1)
	})
}

// A full queue is an answer, and what it refused never runs.
func TestFullQueue(t *testing.T) {
	for name, flag := range map[string]string{"requests": "--max-queue=3", "bytes": "--max-queue-bytes=950B"} {
		t.Run(name, func(t *testing.T) {
			b := startBroker(t, flag, noWindow)
			log := newRunLog(t)
			c := newPipeline(t, at(b))
			var queued []<-chan answer
			for i := range 3 {
				queued = append(queued, begin(testContext(t), c, ask("", fmt.Sprintf("request %02d", i)))) // 316 bytes each, all in all
				eventually(t, patience, "it is queued", func() bool { return b.log.seen("accepted") > i })
			}
			withBoth(t, func(t *testing.T, newAsker func(client.Config) asker) {
				r := ask("", "too much")
				r.Retries = -1
				e := wantError(t, outcome(t, begin(testContext(t), newAsker(at(b)), r)).err, client.ErrOverloaded, protocol.NotStarted)
				if e.RetryAfter <= 0 || !e.Retryable {
					t.Errorf("retry after %v, retryable %v", e.RetryAfter, e.Retryable)
				}
			})
			// One with patience gets its turn when there is room.
			waits := begin(testContext(t), newClient(t, patient(at(b))), ask("", "patient 1"))
			eventually(t, patience, "it was refused once", func() bool { return b.log.seen("refused") > 2 })
			startWorkers(t, 1, b, log)
			ids := []string{wantReply(t, outcome(t, waits), "patient 1").ID.String()}
			for i, q := range queued {
				ids = append(ids, wantReply(t, outcome(t, q), fmt.Sprintf("request %02d", i)).ID.String())
			}
			log.wantOnce(ids)
		})
	}
}

func TestNoService(t *testing.T) {
	b := startBroker(t)
	log := newRunLog(t)
	nobody := func(c asker) {
		t.Helper()
		r := client.Request{Service: "wanted", Body: []byte("x"), NoWait: true, Retries: -1}
		e := wantError(t, outcome(t, begin(testContext(t), c, r)).err, client.ErrNoService, protocol.NotStarted)
		log.wantRuns(e.ID.String(), 0)
	}
	for _, c := range []asker{newClient(t, at(b)), newPipeline(t, at(b))} {
		nobody(c)
	}
	startWorkers(t, 1, b, log)
	nobody(newClient(t, at(b))) // it serves something else
	_, _, code := privateer(t, "request", "--broker", b.front, "--no-wait", "--retries", "0", "wanted", "x")
	if code != 4 {
		t.Errorf("exit %d, want 4: not started", code)
	}
	startWorker(t, log, workerConfig{Brokers: []string{b.back}, Services: []string{"other", "wanted"}})
	b.awaitWorkers(2)
	var reply client.Reply
	eventually(t, patience, "it is served", func() (ok bool) {
		var err error
		reply, err = newClient(t, at(b)).Do(testContext(t), client.Request{Service: "wanted", Body: []byte("x"), NoWait: true})
		return err == nil
	})
	log.wantOnce([]string{reply.ID.String()})
}
