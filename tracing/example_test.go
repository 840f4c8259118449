package tracing_test

import (
	"context"
	"fmt"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/privateer-mq/privateer/brokertest"
	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/tracing"
	"github.com/privateer-mq/privateer/worker"
)

// A collector stands where spans go.
type collector struct{ *tracetest.InMemoryExporter }

// tell prints the spans with these names, each with its parent.
func (c collector) tell(names ...string) {
	spans := c.GetSpans()
	called := map[trace.SpanID]string{}
	for _, s := range spans {
		called[s.SpanContext.SpanID()] = s.Name
	}
	for _, name := range names {
		for _, s := range spans {
			if s.Name == name {
				fmt.Printf("%s (%s), child of %q\n", s.Name, s.SpanKind, called[s.Parent.SpanID()])
			}
		}
	}
}

func ExampleClient() {
	t := &example{} // in a test, its *testing.T
	defer t.end()
	spans := collector{tracetest.NewInMemoryExporter()}
	provider := sdk.NewTracerProvider(sdk.WithSyncer(spans)) // in a program: with an exporter to your collector
	options := []tracing.Option{tracing.WithTracerProvider(provider), tracing.WithPropagator(propagation.TraceContext{})}

	b := brokertest.New(t)
	handler := worker.HandlerFunc(func(_ context.Context, r *worker.Request) ([]byte, error) { return r.Body(), nil })
	b.Worker("resize", tracing.Worker(options...)(handler))

	d := tracing.Client(b.Client(), options...)
	reply, err := d.Do(context.Background(), client.Request{Service: "resize", Body: []byte("picture")})
	fmt.Println(string(reply.Body()), err)
	spans.tell("request resize", "queue resize", "handle resize")
	// Output:
	// picture <nil>
	// request resize (client), child of ""
	// queue resize (internal), child of "request resize"
	// handle resize (server), child of "request resize"
}

// A program sets OpenTelemetry's globals once; then no options are needed.
func ExampleWorker() {
	t := &example{} // in a test, its *testing.T
	defer t.end()
	spans := collector{tracetest.NewInMemoryExporter()}
	otel.SetTracerProvider(sdk.NewTracerProvider(sdk.WithSyncer(spans)))
	otel.SetTextMapPropagator(propagation.TraceContext{})

	b := brokertest.New(t)
	handler := worker.HandlerFunc(func(ctx context.Context, r *worker.Request) ([]byte, error) {
		_, span := otel.Tracer("pictures").Start(ctx, "decode") // within "handle resize"
		defer span.End()
		return r.Body(), nil
	})
	b.Worker("resize", tracing.Worker()(handler))

	_, err := tracing.Client(b.Pipeline()).Do(context.Background(), client.Request{Service: "resize"})
	fmt.Println(err)
	spans.tell("handle resize", "decode")
	// Output:
	// <nil>
	// handle resize (server), child of "request resize"
	// decode (internal), child of "handle resize"
}

func ExampleStream() {
	t := &example{} // in a test, its *testing.T
	defer t.end()
	spans := collector{tracetest.NewInMemoryExporter()}
	provider := tracing.WithTracerProvider(sdk.NewTracerProvider(sdk.WithSyncer(spans)))

	b := brokertest.New(t)
	b.Worker("count", worker.HandlerFunc(func(_ context.Context, r *worker.Request) ([]byte, error) {
		return []byte("liftoff"), r.SendPart([]byte("one"))
	}))
	s := tracing.Stream(b.Pipeline(), provider)
	for part, err := range s.Stream(context.Background(), client.Request{Service: "count"}) {
		fmt.Println(string(part.Body()), err)
	}
	spans.tell("request count")
	// Output:
	// one <nil>
	// liftoff <nil>
	// request count (client), child of ""
}

// An example is a testing.TB without a test around it.
type example struct {
	testing.TB
	cleanups []func()
}

func (e *example) Helper()                           {}
func (e *example) Cleanup(f func())                  { e.cleanups = append(e.cleanups, f) }
func (e *example) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (e *example) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func (e *example) end() {
	for i := len(e.cleanups) - 1; i >= 0; i-- {
		e.cleanups[i]()
	}
}
