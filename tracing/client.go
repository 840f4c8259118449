package tracing

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/protocol"
)

// A Doer sends a request and returns its outcome: a client.Client, a
// client.Pipeline, or whatever goes around them.
type Doer = client.Doer

// A Streamer sends a request whose reply comes in parts: a client.Pipeline, or
// whatever goes around one.
type Streamer = client.Streamer

// Client returns a Doer that makes a span of each request to d, and gives the
// request its traceparent. Outcomes are those of d. It is as safe for concurrent
// use as d, and blocks as d does.
//
// A request that is not recorded keeps the Trace that its caller has set.
func Client(d Doer, options ...Option) Doer { return &doer{d, newConfig(options)} }

type doer struct {
	next Doer
	*config
}

func (d *doer) Do(ctx context.Context, r client.Request) (client.Reply, error) {
	ctx, span := d.request(ctx, &r)
	defer span.End()
	reply, err := d.next.Do(ctx, r)
	if err != nil {
		failed(span, err)
	} else {
		replied(span, &reply)
	}
	return reply, err
}

// Stream is Client for replies in parts: the span begins when the sequence is
// ranged over, and ends with it. Who breaks off leaves it without an outcome.
func Stream(s Streamer, options ...Option) Streamer { return &streamer{s, newConfig(options)} }

type streamer struct {
	next Streamer
	*config
}

func (s *streamer) Stream(ctx context.Context, r client.Request) iter.Seq2[client.Part, error] {
	return func(yield func(client.Part, error) bool) {
		r := r
		ctx, span := s.request(ctx, &r)
		defer span.End()
		parts := 0
		defer func() { span.SetAttributes(keyParts.Int(parts)) }()
		for part, err := range s.next.Stream(ctx, r) {
			switch {
			case err != nil:
				failed(span, err)
			case part.Last:
				replied(span, &part.Reply)
			default:
				parts++
			}
			if !yield(part, err) {
				return
			}
		}
	}
}

// request begins the span of r, and puts it into r.
func (c *config) request(ctx context.Context, r *client.Request) (context.Context, trace.Span) {
	attributes := common(r.Service, "request", "send")
	if !r.ID.IsZero() {
		attributes = append(attributes, keyID.String(r.ID.String()))
	}
	ctx, span := c.tracer().Start(ctx, "request "+r.Service, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes...))
	c.carried().Inject(ctx, outgoing{r})
	return ctx, span
}

// replied says that the outcome is OK.
func replied(span trace.Span, r *client.Reply) {
	span.SetAttributes(keyID.String(r.ID.String()), keyOutcome.String(protocol.OK.String()), keyCertainty.String(protocol.Ran.String()),
		keyAttempt.Int(r.Attempt), keyTries.Int(r.Tries), keyFailedOver.Bool(r.FailedOver), keyBroker.String(r.Broker))
}

// failed says what the outcome is instead.
func failed(span trace.Span, err error) {
	span.RecordError(err)
	var e *client.Error
	if !errors.As(err, &e) { // of something that goes around the client
		span.SetAttributes(keyErrorType.String(fmt.Sprintf("%T", err)))
		span.SetStatus(codes.Error, err.Error())
		return
	}
	code := e.Code.String()
	span.SetStatus(codes.Error, e.Error())
	span.SetAttributes(keyErrorType.String(code), keyOutcome.String(code), keyCertainty.String(e.Certainty.String()),
		keyTries.Int(e.Tries), keyRetryable.Bool(e.Retryable), keyFailedOver.Bool(e.FailedOver))
	if !e.ID.IsZero() {
		span.SetAttributes(keyID.String(e.ID.String()))
	}
	if e.Attempt != 0 {
		span.SetAttributes(keyAttempt.Int(e.Attempt))
	}
	if e.Broker != "" {
		span.SetAttributes(keyBroker.String(e.Broker))
	}
	if e.HandlerCode != "" {
		span.SetAttributes(keyHandlerCode.String(e.HandlerCode))
	}
}
