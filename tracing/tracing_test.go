package tracing_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/privateer-mq/privateer/brokertest"
	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/tracing"
	"github.com/privateer-mq/privateer/worker"
)

// A recorder keeps the spans that have ended.
type recorder struct {
	t        *testing.T
	exporter *tracetest.InMemoryExporter
	provider trace.TracerProvider
	options  []tracing.Option
}

func record(t *testing.T) *recorder {
	e := tracetest.NewInMemoryExporter()
	p := sdk.NewTracerProvider(sdk.WithSyncer(e))
	return &recorder{t, e, p, []tracing.Option{tracing.WithTracerProvider(p), tracing.WithPropagator(propagation.TraceContext{})}}
}

// spans returns those called name, in the order in which they have ended.
func (r *recorder) spans(name string, want int) (list []tracetest.SpanStub) {
	r.t.Helper()
	var names []string
	for _, s := range r.exporter.GetSpans() {
		names = append(names, s.Name)
		if s.Name == name {
			list = append(list, s)
		}
	}
	if len(list) != want {
		r.t.Fatalf("%d spans %q, want %d: %q", len(list), name, want, names)
	}
	return list
}

func (r *recorder) span(name string) tracetest.SpanStub {
	r.t.Helper()
	return r.spans(name, 1)[0]
}

// has checks attributes of s.
func has(t *testing.T, s tracetest.SpanStub, want ...attribute.KeyValue) {
	t.Helper()
	for _, w := range want {
		i := slices.IndexFunc(s.Attributes, func(a attribute.KeyValue) bool { return a.Key == w.Key })
		if i < 0 || s.Attributes[i] != w {
			t.Errorf("%s: want %s=%s; has %v", s.Name, w.Key, w.Value.String(), s.Attributes)
		}
	}
}

func lacks(t *testing.T, s tracetest.SpanStub, keys ...attribute.Key) {
	t.Helper()
	for _, a := range s.Attributes {
		if slices.Contains(keys, a.Key) {
			t.Errorf("%s has %s=%s", s.Name, a.Key, a.Value.String())
		}
	}
}

func childOf(t *testing.T, s, parent tracetest.SpanStub) {
	t.Helper()
	if s.SpanContext.TraceID() != parent.SpanContext.TraceID() || s.Parent.SpanID() != parent.SpanContext.SpanID() {
		t.Errorf("%s is no child of %s", s.Name, parent.Name)
	}
}

func lasted(t *testing.T, s tracetest.SpanStub, began time.Time, from, to time.Duration) {
	t.Helper()
	if f, e := s.StartTime.Sub(began), s.EndTime.Sub(began); f != from || e != to {
		t.Errorf("%s lasted from %v to %v, want %v to %v", s.Name, f, e, from, to)
	}
}

var (
	str     = attribute.String
	integer = attribute.Int
	boolean = attribute.Bool
)

func TestThreeSpans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, b := record(t), brokertest.New(t)
		tracer := r.provider.Tracer("test")
		began := time.Now()
		time.AfterFunc(700*time.Millisecond, func() { // until then it waits
			b.Worker("s", tracing.Worker(r.options...)(worker.HandlerFunc(func(ctx context.Context, q *worker.Request) ([]byte, error) {
				_, inner := tracer.Start(ctx, "inner")
				defer inner.End()
				time.Sleep(100 * time.Millisecond)
				return q.Body(), nil
			})))
		})
		ctx, outer := tracer.Start(t.Context(), "outer")
		reply, err := tracing.Client(b.Client(), r.options...).Do(ctx, client.Request{Service: "s", Body: []byte("x")})
		outer.End()
		if err != nil || string(reply.Body()) != "x" {
			t.Fatalf("got %q, %v", reply.Body(), err)
		}
		request, queue, handle := r.span("request s"), r.span("queue s"), r.span("handle s")
		childOf(t, request, r.span("outer"))
		childOf(t, queue, request)
		childOf(t, handle, request)
		childOf(t, r.span("inner"), handle)
		lasted(t, request, began, 0, 800*time.Millisecond)
		lasted(t, queue, began, 0, 700*time.Millisecond)
		lasted(t, handle, began, 700*time.Millisecond, 800*time.Millisecond)
		front, _ := b.Endpoints()
		has(t, request, str("messaging.system", "privateer"), str("messaging.destination.name", "s"), str("messaging.operation.name", "request"),
			str("messaging.operation.type", "send"), str("messaging.message.id", reply.ID.String()), str("privateer.outcome", "OK"),
			str("privateer.certainty", "ran"), integer("privateer.tries", 1), integer("privateer.attempt", 1),
			boolean("privateer.failed_over", false), str("privateer.broker", front))
		has(t, queue, str("messaging.operation.name", "queue"), str("messaging.operation.type", "receive"),
			str("messaging.message.id", reply.ID.String()), integer("privateer.attempt", 1))
		has(t, handle, str("messaging.operation.name", "handle"), str("messaging.operation.type", "process"), str("messaging.message.id", reply.ID.String()),
			str("privateer.outcome", "OK"), integer("privateer.attempt", 1), boolean("privateer.maybe_rerun", false), integer("privateer.waited_ms", 700))
		for _, s := range []tracetest.SpanStub{request, queue, handle} {
			lacks(t, s, "error.type", "privateer.cancelled")
			if s.Status.Code != codes.Unset || len(s.Links) != 0 {
				t.Errorf("%s: status %v, links %v", s.Name, s.Status, s.Links)
			}
		}
		if request.SpanKind != trace.SpanKindClient || queue.SpanKind != trace.SpanKindInternal || handle.SpanKind != trace.SpanKindServer {
			t.Errorf("kinds %v, %v, %v", request.SpanKind, queue.SpanKind, handle.SpanKind)
		}
	})
}

// The first worker is killed at work: the second attempt has the same trace and
// parent, and a link; its wait counts from when it was queued again.
func TestRedelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, b := record(t), brokertest.New(t)
		began := time.Now()
		traced := tracing.Worker(r.options...)
		first := b.Worker("s", traced(worker.HandlerFunc(func(ctx context.Context, _ *worker.Request) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})))
		b.WaitWorkers("s", 1)
		time.AfterFunc(1100*time.Millisecond, first.Kill)
		time.AfterFunc(2*time.Second, func() {
			b.Worker("s", traced(worker.HandlerFunc(func(_ context.Context, q *worker.Request) ([]byte, error) { return q.Body(), nil })))
		})
		if _, err := tracing.Client(b.Pipeline(), r.options...).Do(t.Context(), client.Request{Service: "s"}); err != nil {
			t.Fatal(err)
		}
		request, queues, handles := r.span("request s"), r.spans("queue s", 2), r.spans("handle s", 2)
		for i, h := range handles {
			childOf(t, queues[i], request)
			childOf(t, h, request)
			has(t, queues[i], integer("privateer.attempt", i+1))
			has(t, h, integer("privateer.attempt", i+1), boolean("privateer.maybe_rerun", i == 1))
		}
		has(t, request, integer("privateer.attempt", 2))
		has(t, handles[0], str("privateer.cancelled", brokertest.ErrKilled.Error()), str("error.type", "FAILED"))
		lasted(t, queues[1], began, 1152*time.Millisecond, 2*time.Second) // the kill, 2 ms to look after it, the grace of 50 ms
		if n := len(handles[0].Links); n != 0 {
			t.Errorf("the first attempt has %d links", n)
		}
		links := handles[1].Links
		if len(links) != 1 || links[0].SpanContext.SpanID() != request.SpanContext.SpanID() || links[0].SpanContext.TraceID() != request.SpanContext.TraceID() ||
			!slices.Equal(links[0].Attributes, []attribute.KeyValue{boolean("privateer.redelivery", true)}) {
			t.Errorf("the second attempt's links: %+v", links)
		}
	})
}

func TestErrors(t *testing.T) {
	for name, c := range map[string]struct {
		handler       worker.HandlerFunc
		request       client.Request
		code, handled string // outcomes of the request, and of the first attempt
		attributes    []attribute.KeyValue
		status        string
	}{
		"failed": {func(context.Context, *worker.Request) ([]byte, error) { return nil, errors.New("no such picture") },
			client.Request{}, "FAILED", "FAILED", nil, "no such picture"},
		"rejected": {func(context.Context, *worker.Request) ([]byte, error) { return nil, worker.Reject("E42", "no") },
			client.Request{}, "FAILED", "FAILED", []attribute.KeyValue{str("privateer.handler_code", "E42")}, "E42: no"},
		"retried": {func(_ context.Context, q *worker.Request) ([]byte, error) {
			return nil, worker.Retry(fmt.Errorf("not at attempt %d", q.Attempt))
		}, client.Request{}, "FAILED", "RETRY", nil, "not at attempt 1"},
		"expired": {func(ctx context.Context, _ *worker.Request) ([]byte, error) {
			<-ctx.Done()
			return nil, errors.New("over")
		},
			client.Request{Deadline: time.Second}, "EXPIRED", "EXPIRED", nil, "over"},
		"timed out": {func(ctx context.Context, _ *worker.Request) ([]byte, error) {
			<-ctx.Done()
			return nil, errors.New("over")
		},
			client.Request{}, "TIMEOUT", "TIMEOUT", nil, "over"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, b := record(t), brokertest.New(t)
				b.WorkerConfig(worker.Config{Services: []string{"s"}, TaskTimeout: 10 * time.Second}, tracing.Worker(r.options...)(c.handler))
				c.request.Service = "s"
				_, err := tracing.Client(b.Client(), r.options...).Do(t.Context(), c.request)
				var e *client.Error
				if !errors.As(err, &e) || e.Code.String() != c.code {
					t.Fatalf("got %v", err)
				}
				request := r.span("request s")
				has(t, request, str("privateer.outcome", c.code), str("error.type", c.code), str("privateer.certainty", e.Certainty.String()),
					boolean("privateer.retryable", e.Retryable), str("messaging.message.id", e.ID.String()))
				if request.Status.Code != codes.Error || request.Status.Description != e.Error() || len(request.Events) != 1 || request.Events[0].Name != "exception" {
					t.Errorf("request: status %+v, events %v", request.Status, request.Events)
				}
				synctest.Wait()
				for _, s := range r.exporter.GetSpans() {
					if s.Name != "handle s" {
						continue
					}
					has(t, s, append(c.attributes, str("privateer.outcome", c.handled), str("error.type", c.handled))...)
					if s.Status.Code != codes.Error || s.Status.Description != c.status || len(s.Events) != 1 {
						t.Errorf("handle: status %+v, events %v", s.Status, s.Events)
					}
					return // the first attempt
				}
				t.Error("no span of the handler")
			})
		})
	}
}

func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, b := record(t), brokertest.New(t)
		b.Worker("s", tracing.Worker(r.options...)(worker.HandlerFunc(func(context.Context, *worker.Request) ([]byte, error) { panic("oh") })))
		_, err := tracing.Client(b.Client(), r.options...).Do(t.Context(), client.Request{Service: "s"})
		if !errors.Is(err, client.ErrFailed) || !strings.Contains(err.Error(), "panic: oh") {
			t.Errorf("got %v", err)
		}
		handle := r.span("handle s")
		has(t, handle, str("error.type", "panic"), str("privateer.outcome", "FAILED"))
		if handle.Status.Code != codes.Error {
			t.Errorf("status %+v", handle.Status)
		}
	})
}

// Without a traceparent, or with one that is none, the handler's span is a root.
func TestNoParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, given := range []string{"", "nonsense", "00-00000000000000000000000000000000-0000000000000000-01", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"} {
			r, b := record(t), brokertest.New(t)
			b.Worker("s", tracing.Worker(r.options...)(worker.HandlerFunc(func(_ context.Context, q *worker.Request) ([]byte, error) {
				return []byte(q.Trace), nil
			})))
			reply, err := b.Client().Do(t.Context(), client.Request{Service: "s", Trace: given})
			if err != nil || string(reply.Body()) != given {
				t.Fatalf("%q: %q, %v", given, reply.Body(), err)
			}
			handle := r.span("handle s")
			r.spans("queue s", 0)
			if handle.Parent.IsValid() || !handle.SpanContext.IsValid() || handle.Status.Code != codes.Unset || len(handle.Links) != 0 {
				t.Errorf("%q: parent %+v, status %+v", given, handle.Parent, handle.Status)
			}
		}
	})
}

// A handler without a worker.
func TestNilHandler(t *testing.T) {
	if _, err := worker.New(worker.Config{}, tracing.Worker()(nil)); err == nil || !strings.Contains(err.Error(), "handler is nil") {
		t.Errorf("New: %v", err)
	}
}

// The globals are looked at when a span begins; before they are set nothing is
// recorded, and a caller's own Trace goes through.
func TestGlobals(t *testing.T) {
	provider, propagator := otel.GetTracerProvider(), otel.GetTextMapPropagator()
	defer otel.SetTracerProvider(provider)
	defer otel.SetTextMapPropagator(propagator)
	otel.SetTracerProvider(noop.NewTracerProvider())
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator())
	d := &doer{}
	traced := tracing.Client(d, tracing.WithTracerProvider(nil), tracing.WithPropagator(nil))
	if _, err := traced.Do(t.Context(), client.Request{Service: "s", Trace: "mine"}); err != nil || d.asked.Trace != "mine" {
		t.Errorf("trace %q, %v", d.asked.Trace, err)
	}
	r := record(t)
	otel.SetTracerProvider(r.provider)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	if _, err := traced.Do(t.Context(), client.Request{Service: "s", Trace: "mine"}); err != nil {
		t.Error(err)
	}
	if want := r.span("request s").SpanContext.SpanID().String(); !strings.Contains(d.asked.Trace, want) {
		t.Errorf("trace %q, want one of span %s", d.asked.Trace, want)
	}
}
