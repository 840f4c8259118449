package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/rs/zerolog"
)

// Recover makes of a panic the outcome FAILED with the code "PANIC", and logs it
// with its stack.
//
// A worker survives panics without it: they become FAILED, without a code, and
// are logged. Recover adds the code, which a client can tell from other errors;
// a logger of its own; and that middleware outside of it, such as Log, sees an
// error and not a panic. Stats.Panics does not count what it has caught. It does
// not catch runtime.Goexit.
func Recover(log zerolog.Logger) Middleware {
	return func(h Handler) Handler {
		return Wrap(h, func(ctx context.Context, r *Request) (frames [][]byte, err error) {
			defer func() {
				v := recover()
				if v == nil {
					return
				}
				text := fmt.Sprint("panic: ", v)
				aboutRequest(log.Error(), r).Str("state", "panicked").Str("stack", string(debug.Stack())).Msg(text)
				frames, err = nil, Reject("PANIC", text)
			}()
			return h.Handle(ctx, r)
		})
	}
}

// Log writes one line for each call once it is over: service, request_id,
// attempt, duration (milliseconds, unless zerolog.DurationFieldUnit says
// otherwise) and outcome: OK, RETRY, HANDED_BACK, FAILED, or PANIC for a panic that
// goes on through it. Of an error it has the text and the code, and the cause where the
// handler's context has ended. OK is logged at level info, the others at warn.
//
// The outcome is what the handler has made, seen from where Log stands in the
// chain: what the client is told can be another, where its context has ended.
func Log(log zerolog.Logger) Middleware {
	return func(h Handler) Handler {
		return Wrap(h, func(ctx context.Context, r *Request) (frames [][]byte, err error) {
			start, outcome := time.Now(), "PANIC"
			defer func() {
				e := log.Warn()
				if outcome == "OK" {
					e = log.Info()
				}
				e = aboutRequest(e, r).Dur("duration", time.Since(start)).Str("outcome", outcome)
				var reject *RejectError
				if errors.As(err, &reject) {
					e = e.Str("code", reject.Code)
				}
				if err != nil {
					e = e.Err(err)
				}
				if cause := context.Cause(ctx); cause != nil {
					e = e.AnErr("cause", cause)
				}
				e.Msg("request handled")
			}()
			frames, err = h.Handle(ctx, r)
			outcome = outcomeName(err)
			return frames, err
		})
	}
}

func outcomeName(err error) string {
	switch {
	case err == nil:
		return "OK"
	case IsRetry(err):
		return "RETRY"
	case IsHandBack(err):
		return "HANDED_BACK"
	}
	return "FAILED"
}

// aboutRequest names the request that a log line is about.
func aboutRequest(e *zerolog.Event, r *Request) *zerolog.Event {
	return e.Str("service", r.Service).Stringer("request_id", r.ID).Int("attempt", r.Attempt)
}
