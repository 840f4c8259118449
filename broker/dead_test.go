package broker_test

import (
	"context"
	"errors"
	"testing"

	"github.com/privateer-mq/privateer/broker"
	"github.com/privateer-mq/privateer/brokertest"
	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/worker"
)

// TestMaxDead: so many dead letters are kept as the configuration says, the newest.
func TestMaxDead(t *testing.T) {
	b := brokertest.New(t, brokertest.WithConfig(broker.Config{MaxDead: 2, MaxAttempts: 1}))
	b.Worker("moody", worker.HandlerFunc(func(context.Context, *worker.Request) ([]byte, error) {
		return nil, worker.Retry(errors.New("not today"))
	}))
	for _, body := range []string{"one", "two", "three", "four"} {
		if _, err := b.Pipeline().Do(t.Context(), client.Request{Service: "moody", Body: []byte(body)}); !errors.Is(err, client.ErrFailed) {
			t.Fatalf("%s: %v", body, err)
		}
	}
	if n := b.Stats().Gauges.DeadLetters; n != 2 {
		t.Errorf("%d dead letters are kept, want 2", n)
	}
	if _, err := broker.New(broker.Config{MaxDead: -1}); err == nil {
		t.Error("a bound below 0 is taken")
	}
}

// TestMaxDeadBytes: dead letters that take more than the bound are not kept.
func TestMaxDeadBytes(t *testing.T) {
	b := brokertest.New(t, brokertest.WithConfig(broker.Config{MaxDeadBytes: 10_000, MaxAttempts: 1}))
	b.Worker("moody", worker.HandlerFunc(func(context.Context, *worker.Request) ([]byte, error) {
		return nil, worker.Retry(errors.New("not today"))
	}))
	for range 10 {
		if _, err := b.Pipeline().Do(t.Context(), client.Request{Service: "moody", Body: make([]byte, 2000)}); !errors.Is(err, client.ErrFailed) {
			t.Fatal(err)
		}
	}
	if g := b.Stats().Gauges; g.DeadLetters != 4 || g.DeadBytes < 8000 || g.DeadBytes > 10_000 {
		t.Errorf("%d dead letters of %d bytes are kept, want 4", g.DeadLetters, g.DeadBytes)
	}
	if _, err := broker.New(broker.Config{MaxDeadBytes: -1}); err == nil {
		t.Error("a bound below 0 is taken")
	}
}
