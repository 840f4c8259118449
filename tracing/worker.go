package tracing

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/privateer-mq/privateer/protocol"
	"github.com/privateer-mq/privateer/worker"
)

// Worker returns what makes of a handler one that makes a span of each request:
// "handle", and before it "queue", children of the client's span. The handler's
// context holds "handle", so that its own spans become children of that. Outcomes
// are those of the handler, a panic included. It is as safe for concurrent use as
// the handler.
//
// Put it outermost, so that the span has what other middleware makes of an
// outcome.
func Worker(options ...Option) func(worker.Handler) worker.Handler {
	c := newConfig(options)
	return func(h worker.Handler) worker.Handler {
		if h == nil { // worker.New has an error for that
			return nil
		}
		return worker.Wrap(h, func(ctx context.Context, r *worker.Request) ([][]byte, error) {
			return c.handle(ctx, r, h)
		})
	}
}

func (c *config) handle(ctx context.Context, r *worker.Request, h worker.Handler) ([][]byte, error) {
	now := time.Now()
	ctx = c.carried().Extract(ctx, incoming{r})
	parent := trace.SpanContextFromContext(ctx)
	attributes := append(common(r.Service, "handle", "process"), keyID.String(r.ID.String()), keyAttempt.Int(r.Attempt),
		keyMaybeRerun.Bool(r.MaybeRerun), keyWaited.Int64(r.Waited.Milliseconds()))
	start := []trace.SpanStartOption{trace.WithTimestamp(now), trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attributes...)}
	if parent.IsValid() {
		c.queue(ctx, r, now)
		if r.Attempt > 1 {
			start = append(start, trace.WithLinks(trace.Link{SpanContext: parent, Attributes: redelivery}))
		}
	}
	ctx, span := c.tracer().Start(ctx, "handle "+r.Service, start...)
	returned := false
	defer func() {
		if !returned {
			span.SetAttributes(keyErrorType.String("panic"), keyOutcome.String(protocol.Failed.String()))
			span.SetStatus(codes.Error, "the handler panicked")
		}
		span.End()
	}()
	frames, err := h.Handle(ctx, r)
	returned = true
	ended(ctx, span, err)
	return frames, err
}

// redelivery are the attributes of the link of a later attempt.
var redelivery = []attribute.KeyValue{keyRedelivery.Bool(true)}

// queue makes the span of the time that r has waited until now.
func (c *config) queue(ctx context.Context, r *worker.Request, now time.Time) {
	attributes := append(common(r.Service, "queue", "receive"), keyID.String(r.ID.String()), keyAttempt.Int(r.Attempt))
	_, span := c.tracer().Start(ctx, "queue "+r.Service, trace.WithTimestamp(now.Add(-r.Waited)), trace.WithAttributes(attributes...))
	span.End(trace.WithTimestamp(now))
}

// ended says what became of a handler that has returned err.
func ended(ctx context.Context, span trace.Span, err error) {
	if ctx.Err() != nil {
		span.SetAttributes(keyCancelled.String(context.Cause(ctx).Error()))
	}
	if err == nil {
		span.SetAttributes(keyOutcome.String(protocol.OK.String()))
		return
	}
	code := protocol.Failed
	switch {
	case worker.IsRetry(err):
		code = protocol.Retry
	case worker.IsHandBack(err):
		code = protocol.HandedBack
	case errors.Is(context.Cause(ctx), worker.ErrExpired):
		code = protocol.Expired
	case errors.Is(context.Cause(ctx), worker.ErrTaskTimeout):
		code = protocol.Timeout
	}
	span.RecordError(err)
	span.SetStatus(codes.Error, err.Error())
	span.SetAttributes(keyErrorType.String(code.String()), keyOutcome.String(code.String()))
	var reject *worker.RejectError
	if code == protocol.Failed && errors.As(err, &reject) {
		span.SetAttributes(keyHandlerCode.String(reject.Code))
	}
}
