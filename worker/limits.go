package worker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"golang.org/x/time/rate"

	"github.com/privateer-mq/privateer/protocol"
)

// ErrTimeout: the time of the middleware Timeout is over. context.Cause of a
// context that it has ended is this error.
var ErrTimeout = errors.New("the time-out is over")

// Timeout ends the context of each call d after its start. If the handler then
// returns an error, the outcome is FAILED with the code "TIMEOUT" and the error's
// text; a reply, and an error made by Retry, HandBack or Reject, is taken as it is.
//
// It differs from Config.TaskTimeout, which bounds every run of the worker: that
// one answers TIMEOUT for a handler that does not return, too, and is told apart
// by its code; this one bounds the calls of what it is put around, so it can be
// another for each service of a Mux, and trusts the handler to heed its context.
// The shorter of the two wins. Request.SendPart does not heed it, as it waits by
// the request's own context.
//
// d must be over 0.
func Timeout(d time.Duration) Middleware {
	if d <= 0 {
		return misused("worker.Timeout: %v; want over 0", d)
	}
	return func(h Handler) Handler {
		return Wrap(h, func(ctx context.Context, r *Request) ([][]byte, error) {
			// One of its own for each call: Timeouts may stand within each other.
			over := fmt.Errorf("after %v %w", d, ErrTimeout)
			ctx, stop := context.WithTimeoutCause(ctx, d, over)
			defer stop()
			frames, err := h.Handle(ctx, r)
			if err == nil || instructs(err) || !errors.Is(context.Cause(ctx), over) {
				return frames, err
			}
			return nil, Reject("TIMEOUT", fmt.Sprintf("%v: %v", over, err))
		})
	}
}

// instructs reports whether err was made by Retry, HandBack or Reject.
func instructs(err error) bool {
	var reject *RejectError
	return IsRetry(err) || IsHandBack(err) || errors.As(err, &reject)
}

// Limit lets at most n calls at a time through, 1 to 4096, over all that the
// Middleware is put around. A call beyond waits for a place until its context
// ends; then its handler is not called, and the outcome is an error that says so.
//
// What waits takes a place of Config.Concurrency and is no progress: a broker's
// lease runs on.
func Limit(n int) Middleware {
	if n < 1 || n > protocol.CreditMax {
		return misused("worker.Limit: %d; want 1 to %d", n, protocol.CreditMax)
	}
	places := make(chan struct{}, n)
	return func(h Handler) Handler {
		return Wrap(h, func(ctx context.Context, r *Request) ([][]byte, error) {
			if ctx.Err() == nil {
				select {
				case places <- struct{}{}:
					defer func() { <-places }()
					return h.Handle(ctx, r)
				case <-ctx.Done():
				}
			}
			return nil, fmt.Errorf("no place among the %d calls that may run at a time; the handler was not called: %w", n, context.Cause(ctx))
		})
	}
}

// Rate lets perSecond calls a second through, over all that the Middleware is put
// around, and burst of them at once after a rest: a token bucket. A call beyond
// waits for its turn. If its deadline would pass before that, its handler is not
// called and it is given back as by Retry, at once; if its context ends while it
// waits, with an error that says so.
//
// perSecond must be over 0 and finite, burst 1 to a million. What waits takes a
// place of Config.Concurrency and is no progress: a broker's lease runs on.
func Rate(perSecond float64, burst int) Middleware {
	const burstMax = 1_000_000
	switch {
	case !(perSecond > 0) || math.IsInf(perSecond, 0): // NaN is not over 0 either
		return misused("worker.Rate: perSecond is %v; want over 0, and finite", perSecond)
	case burst < 1 || burst > burstMax:
		return misused("worker.Rate: burst is %d; want 1 to %d", burst, burstMax)
	}
	limiter := rate.NewLimiter(rate.Limit(perSecond), burst)
	return func(h Handler) Handler {
		return Wrap(h, func(ctx context.Context, r *Request) ([][]byte, error) {
			switch err := limiter.Wait(ctx); {
			case err == nil:
				return h.Handle(ctx, r)
			case ctx.Err() != nil:
				return nil, fmt.Errorf("over %v calls a second; the handler was not called: %w", perSecond, context.Cause(ctx))
			}
			return nil, Retry(fmt.Errorf("over %v calls a second: its turn comes after its deadline", perSecond))
		})
	}
}
