package tracing_test

import (
	"context"
	"iter"
	"testing"

	"github.com/privateer-mq/privateer/brokertest"
	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/tracing"
	"github.com/privateer-mq/privateer/worker"
)

// TestTracedMux: a traced Mux serves what the Mux serves, in a worker that names no
// service, and a traced stream is one for typed values.
func TestTracedMux(t *testing.T) {
	r, b := record(t), brokertest.New(t)
	var mux worker.Mux
	mux.Route("count", worker.HandleStream(func(_ context.Context, to int) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := range to {
				if !yield(i+1, nil) {
					return
				}
			}
		}
	}))
	b.WorkerConfig(worker.Config{}, tracing.Worker(r.options...)(&mux))
	sum := 0
	for n, err := range client.AskStream[int, int](t.Context(), tracing.Stream(b.Pipeline(), r.options...), "count", 4) {
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	if sum != 10 {
		t.Errorf("the sum is %d, want 10", sum)
	}
	r.span("request count")
	r.span("handle count")
}
