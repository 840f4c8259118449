package client

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// TestDeadlineOfAContext: however it is noticed that the deadline of a context has
// passed, it is ErrExpired and context.DeadlineExceeded, and never ErrCancelled; with
// what is known of whether it ran.
func TestDeadlineOfAContext(t *testing.T) {
	const limit = time.Second
	for name, tt := range map[string]struct {
		broker func(f *fake, q *asked) // nil: there is none
		code   protocol.Code
		want   protocol.Certainty
	}{
		"a broker that says so": {func(f *fake, q *asked) {
			if q.msg.Command == protocol.Request {
				f.after(limit, func() { f.reply(q, protocol.Expired, protocol.NotStarted) })
			}
		}, protocol.Expired, protocol.NotStarted},
		"a broker that says so before": {func(f *fake, q *asked) {
			if q.msg.Command == protocol.Request {
				f.after(limit-time.Millisecond, func() { f.reply(q, protocol.Expired, protocol.MaybeStarted) })
			}
		}, protocol.Expired, protocol.MaybeStarted},
		"a broker that answers the cancel": {func(f *fake, q *asked) {
			if q.msg.Command == protocol.Cancel {
				f.reply(q, protocol.Cancelled, protocol.NotStarted)
			}
		}, protocol.Expired, protocol.NotStarted},
		"a silent broker": {func(*fake, *asked) {}, protocol.Expired, protocol.MaybeStarted},
		"no broker":       {nil, protocol.Unreachable, protocol.NotStarted},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Config{}, func(t *testing.T, do doer) {
				if tt.broker != nil {
					startFake(t, endpoint, 7, tt.broker)
				}
				ctx, cancel := context.WithTimeout(context.Background(), limit)
				defer cancel()
				_, err := do.Do(ctx, Request{Service: "s"})
				e := details(t, err, ErrExpired, tt.want)
				if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrCancelled) || e.Code != tt.code && e.Code != protocol.Expired {
					t.Errorf("got %v, %+v", err, e)
				}
				<-ctx.Done() // of a broker that is early
				if _, err = do.Do(ctx, Request{Service: "s"}); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("after it: %v", err)
				}
				certain(t, err, ErrExpired, protocol.NotStarted)
			})
		})
	}
}

// TestDeadlineWithoutAPlace: nor does it matter who notices it while a place is waited for.
func TestDeadlineWithoutAPlace(t *testing.T) {
	for range 20 { // of two that have come, Go draws one
		bubble(t, Config{MaxInFlight: 1}, func(t *testing.T, do doer) {
			startFake(t, endpoint, 7, func(*fake, *asked) {})
			go do.Do(t.Context(), Request{Service: "s"}) //nolint:errcheck // it takes the place
			time.Sleep(time.Millisecond)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := do.Do(ctx, Request{Service: "s"})
			certain(t, err, ErrExpired, protocol.NotStarted)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestFarDeadline: one that is too far to count is as none, for every call.
func TestFarDeadline(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, do doer) {
		startFake(t, endpoint, 7, nil)
		time.Sleep(time.Second) // the client's clock has begun
		for _, at := range []time.Time{time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), time.Unix(1<<40, 0), time.Now().Add(1<<63 - 1)} {
			ctx, cancel := context.WithDeadline(context.Background(), at)
			defer cancel()
			if _, err := do.Do(ctx, Request{Service: "s"}); err != nil {
				t.Errorf("%v: %v", at, err)
			}
			if _, err := do.Ping(ctx); err != nil {
				t.Errorf("%v: %v", at, err)
			}
			if _, err := WithRetries(do, RetryPolicy{}).Do(ctx, Request{Service: "s"}); err != nil {
				t.Errorf("%v: %v", at, err)
			}
		}
	})
}
