package worker_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/worker"
)

// own is a middleware as one writes it without Wrap.
type own struct{ next worker.Handler }

func (o own) Handle(ctx context.Context, r *worker.Request) ([][]byte, error) {
	return o.next.Handle(ctx, r)
}

// TestServicesOfWrappedHandlers: what is around a Mux offers what the Mux offers; what
// cannot say so is warned of.
func TestServicesOfWrappedHandlers(t *testing.T) {
	recover, log := worker.Recover(zerolog.Nop()), worker.Log(zerolog.Nop())
	around := func(h worker.Handler) worker.Handler { return worker.Wrap(h, h.Handle) }
	for name, tt := range map[string]struct {
		wrap  func(h worker.Handler) worker.Handler
		known bool
	}{
		"bare":    {func(h worker.Handler) worker.Handler { return h }, true},
		"Recover": {recover, true}, "Log": {log, true}, "Timeout": {worker.Timeout(time.Second), true},
		"Limit": {worker.Limit(1), true}, "Rate": {worker.Rate(1, 1), true}, "Wrap": {around, true},
		"several": {func(h worker.Handler) worker.Handler { return log(recover(around(h))) }, true},
		"Chain": {func(h worker.Handler) worker.Handler {
			return worker.Chain(h, log, recover, func(h worker.Handler) worker.Handler { return own{h} })
		}, true},
		"Chain of Wrap": {func(h worker.Handler) worker.Handler { return worker.Chain(around(h), log) }, true},
		"own":           {func(h worker.Handler) worker.Handler { return own{h} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var mux worker.Mux
				mux.Route("upper", worker.HandlerFunc(func(context.Context, *worker.Request) ([]byte, error) { return nil, nil }))
				mux.Route("lower", worker.HandlerFunc(func(context.Context, *worker.Request) ([]byte, error) { return nil, nil }))
				var said bytes.Buffer
				b := newFakeBroker(t, "offering")
				w := start(t, worker.Config{Brokers: []string{"mem://offering"}, Logger: zerolog.New(&said)}, tt.wrap(&mux))
				var got []string
				for _, s := range b.welcome().Services {
					got = append(got, string(s))
				}
				w.leave(b)
				want := []string{"lower", "upper"}
				if !tt.known {
					want = []string{"default"}
				}
				if !slices.Equal(got, want) {
					t.Errorf("offers %q, want %q", got, want)
				}
				if warned := strings.Contains(said.String(), `{"level":"warn","state":"no-services","services":["default"]`); warned == tt.known {
					t.Errorf("warned: %v\n%s", warned, said.String())
				}
			})
		})
	}
}

// TestWrapRefusesWhatIsWrong: New finds it, also in the Mux within.
func TestWrapRefusesWhatIsWrong(t *testing.T) {
	fine := worker.HandlerFunc(func(context.Context, *worker.Request) ([]byte, error) { return nil, nil })
	var mux, empty worker.Mux
	h := worker.Wrap(&mux, mux.Handle)
	mux.Route("", fine)
	for want, h := range map[string]worker.Handler{
		"Mux.Route(\"\")": h, "handler is nil": worker.Wrap(nil, mux.Handle), "handler is nil ": worker.Wrap(fine, nil),
		"the Mux has no service": worker.Wrap(&empty, empty.Handle),
	} {
		if _, err := worker.New(worker.Config{}, h); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
