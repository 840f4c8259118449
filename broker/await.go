package broker

import (
	"context"
	"fmt"

	"github.com/privateer-mq/privateer/internal/direct"
)

// awaitingMax bounds those who wait for workers at a time.
const awaitingMax = 1000

func init() {
	direct.AwaitWorkers = func(ctx context.Context, b any, service string, enough func(live int) bool) error {
		return b.(*Broker).awaitWorkers(ctx, service, enough)
	}
}

// An awaiting is one who waits until the live workers of a service are enough.
type awaiting struct {
	ctx     context.Context
	service string
	enough  func(live int) bool
	there   chan struct{} // closed when they are
}

// awaitWorkers is direct.AwaitWorkers.
func (b *Broker) awaitWorkers(ctx context.Context, service string, enough func(live int) bool) error {
	a := awaiting{ctx: ctx, service: service, enough: enough, there: make(chan struct{})}
	full := false
	if err := b.ask(func(l *loop) {
		if full = len(l.awaiting) == awaitingMax; !full {
			l.awaiting = append(l.awaiting, a)
		}
	}); err != nil {
		return err
	}
	if full {
		return fmt.Errorf("broker: %d others wait for workers already", awaitingMax)
	}
	select {
	case <-a.there:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-b.done:
		return ErrNotRunning
	}
}

// tellAwaiting tells those whose workers are there, at the end of a turn.
func (l *loop) tellAwaiting() {
	kept := l.awaiting[:0]
	for _, a := range l.awaiting {
		switch {
		case a.ctx.Err() != nil: // it has left
		case a.enough(l.core.LiveWorkers(a.service)):
			close(a.there)
		default:
			kept = append(kept, a)
		}
	}
	clear(l.awaiting[len(kept):])
	l.awaiting = kept
}
