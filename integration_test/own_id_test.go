package integration

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/broker"
	"github.com/privateer-mq/privateer/brokertest"
	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/protocol"
	"github.com/privateer-mq/privateer/worker"
)

// TestOwnIDIsAskedAgain: a request under an id of its caller's that finds the queue full
// is asked again under the same id, and runs once; so it is for whoever derives the id anew.
func TestOwnIDIsAskedAgain(t *testing.T) {
	b := brokertest.New(t, brokertest.WithConfig(broker.Config{MaxQueue: 1, RecoveryWindow: time.Millisecond}))
	let, ran := make(chan struct{}), make(chan protocol.ID, 8)
	b.Worker("s", worker.HandlerFunc(func(_ context.Context, r *worker.Request) ([]byte, error) {
		<-let
		ran <- r.ID
		return []byte(r.ID.String()), nil
	}))
	p := b.Pipeline()
	first := p.Go(t.Context(), client.Request{Service: "s"})
	id := protocol.IDFrom("orders", "4711")
	var e *client.Error
	if _, err := p.Do(t.Context(), client.Request{Service: "s", ID: id, Retries: -1}); !errors.As(err, &e) || e.Code != protocol.Overloaded {
		t.Fatalf("got %v", err)
	}
	if e.Certainty != protocol.MaybeStarted {
		t.Errorf("the certainty is %v", e.Certainty)
	}
	again := client.WithRetries(p, client.RetryPolicy{Retries: 100, Backoff: 10 * time.Millisecond, BackoffMax: 20 * time.Millisecond, Burst: 200})
	done := make(chan error, 1)
	go func() {
		reply, err := again.Do(t.Context(), client.Request{Service: "s", ID: id, Retries: -1})
		if err == nil && string(reply.Body()) != id.String() {
			err = errors.New("another request's reply")
		}
		done <- err
	}()
	time.AfterFunc(100*time.Millisecond, func() { close(let) })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, err := first.Reply(); err != nil {
		t.Fatal(err)
	}
	if reply, err := b.Pipeline().Do(t.Context(), client.Request{Service: "s", ID: protocol.IDFrom("orders", "4711")}); err != nil || string(reply.Body()) != id.String() {
		t.Errorf("asked for again: %v", err)
	}
	<-ran
	if got := <-ran; got != id || len(ran) != 0 {
		t.Errorf("%v ran, and %d more", got, len(ran))
	}
}
