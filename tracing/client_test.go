package tracing_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"

	"github.com/privateer-mq/privateer/brokertest"
	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/protocol"
	"github.com/privateer-mq/privateer/tracing"
	"github.com/privateer-mq/privateer/worker"
)

// A doer answers what it is told, and keeps what it was asked.
type doer struct {
	asked client.Request
	err   error
}

func (d *doer) Do(_ context.Context, r client.Request) (client.Reply, error) {
	d.asked = r
	return client.Reply{}, d.err
}

func (d *doer) Stream(_ context.Context, r client.Request) iter.Seq2[client.Part, error] {
	d.asked = r
	return func(yield func(client.Part, error) bool) {
		for i := range 3 {
			if !yield(client.Part{Number: i + 1}, nil) {
				return
			}
		}
		if d.err != nil {
			yield(client.Part{}, d.err)
			return
		}
		yield(client.Part{Number: 4, Last: true, Reply: client.Reply{Tries: 2}}, nil)
	}
}

func TestOtherErrorsAndIDs(t *testing.T) {
	r := record(t)
	id := protocol.ID{1}
	d := &doer{err: errors.New("the breaker is open")}
	if _, err := tracing.Client(d, r.options...).Do(t.Context(), client.Request{Service: "s", ID: id}); !errors.Is(err, d.err) {
		t.Errorf("got %v", err)
	}
	d.err = &client.Error{Code: protocol.Unknown, Certainty: protocol.MaybeStarted, Attempt: 3, Tries: 4, Broker: "tcp://b", FailedOver: true}
	if _, err := tracing.Client(d, r.options...).Do(t.Context(), client.Request{Service: "s"}); !errors.Is(err, d.err) {
		t.Errorf("got %v", err)
	}
	spans := r.spans("request s", 2)
	has(t, spans[0], str("error.type", "*errors.errorString"), str("messaging.message.id", id.String()))
	lacks(t, spans[0], "privateer.outcome", "privateer.certainty")
	has(t, spans[1], integer("privateer.attempt", 3), integer("privateer.tries", 4), str("privateer.broker", "tcp://b"), boolean("privateer.failed_over", true),
		str("privateer.certainty", "maybe-started"))
	lacks(t, spans[1], "messaging.message.id", "privateer.handler_code")
}

func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, b := record(t), brokertest.New(t)
		b.Worker("s", tracing.Worker(r.options...)(worker.HandlerFunc(func(_ context.Context, q *worker.Request) ([]byte, error) {
			return []byte("end"), errors.Join(q.SendPart([]byte("one")), q.SendPart([]byte("two")))
		})))
		traced := tracing.Stream(b.Pipeline(), r.options...)
		for range 2 {
			var got []string
			for part, err := range traced.Stream(t.Context(), client.Request{Service: "s"}) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, string(part.Body()))
			}
			if !slices.Equal(got, []string{"one", "two", "end"}) {
				t.Errorf("got %q", got)
			}
		}
		requests, handles := r.spans("request s", 2), r.spans("handle s", 2)
		for i, s := range requests {
			has(t, s, integer("privateer.parts", 2), str("privateer.outcome", "OK"), integer("privateer.attempt", 1))
			childOf(t, handles[i], s)
		}
	})
}

func TestStreamEnds(t *testing.T) {
	r, d := record(t), &doer{err: &client.Error{Code: protocol.WorkerLost}}
	traced := tracing.Stream(d, r.options...)
	for _, err := range traced.Stream(t.Context(), client.Request{Service: "lost"}) {
		if err != nil && !errors.Is(err, d.err) {
			t.Errorf("got %v", err)
		}
	}
	for _, err := range traced.Stream(t.Context(), client.Request{Service: "left"}) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	has(t, r.span("request lost"), integer("privateer.parts", 3), str("privateer.outcome", "WORKER_LOST"))
	left := r.span("request left")
	has(t, left, integer("privateer.parts", 1))
	lacks(t, left, "privateer.outcome")
}

// Tracestate and baggage travel as headers; the caller's headers are left as they
// are, and nothing that is carried spoils a request.
func TestCarried(t *testing.T) {
	r, d := record(t), &doer{}
	p := propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
	traced := tracing.Client(d, tracing.WithTracerProvider(r.provider), tracing.WithPropagator(p))
	member, err := baggage.NewMember("tenant", "blue")
	if err != nil {
		t.Fatal(err)
	}
	bag, err := baggage.New(member)
	if err != nil {
		t.Fatal(err)
	}
	ctx := baggage.ContextWithBaggage(t.Context(), bag)
	given := append(make([]client.Header, 0, 10), client.Header{Key: "k", Value: "v"}, client.Header{Key: "Baggage", Value: "old"})
	if _, err := traced.Do(ctx, client.Request{Service: "s", Headers: given}); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(d.asked.Headers); got != "[{k v} {baggage tenant=blue}]" || fmt.Sprint(given) != "[{k v} {Baggage old}]" {
		t.Errorf("sent headers %s of %v", got, given)
	}
	var seen string
	handler := tracing.Worker(tracing.WithTracerProvider(r.provider), tracing.WithPropagator(p))(worker.HandlerFunc(
		func(ctx context.Context, _ *worker.Request) ([]byte, error) {
			seen = baggage.FromContext(ctx).Member("tenant").Value()
			return nil, nil
		}))
	if _, err := handler.Handle(t.Context(), &worker.Request{Service: "s", Trace: d.asked.Trace, Headers: []worker.Header{{Key: "baggage", Value: "tenant=blue"}}}); err != nil {
		t.Fatal(err)
	}
	if seen != "blue" {
		t.Errorf("the handler saw the baggage %q", seen)
	}
	childOf(t, r.span("handle s"), r.span("request s"))

	full := []client.Header{{Key: "k", Value: strings.Repeat("x", 4<<10)}}
	if _, err := traced.Do(ctx, client.Request{Service: "full", Headers: full}); err != nil || len(d.asked.Headers) != 1 || d.asked.Trace == "" {
		t.Errorf("sent %d headers, trace %q, %v", len(d.asked.Headers), d.asked.Trace, err)
	}
}
