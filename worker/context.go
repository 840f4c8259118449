package worker

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A runContext is the context of one run. It makes a standard context of itself
// only when somebody wants more of it than its deadline and its run: most
// handlers are over before, and a context with a cause, a deadline and a timer
// costs as much as all else that is done to start a handler.
type runContext struct {
	run      *run // nil: of none
	deadline time.Time

	mu     sync.Mutex
	std    context.Context // nil: not wanted yet
	cancel context.CancelCauseFunc
	stop   context.CancelFunc
	cause  error // why it has ended, if end was called
}

type runKey struct{}

// Deadline implements context.Context.
func (c *runContext) Deadline() (time.Time, bool) { return c.deadline, true }

// Done implements context.Context.
func (c *runContext) Done() <-chan struct{} { return c.standard().Done() }

// Err implements context.Context.
func (c *runContext) Err() error { return c.standard().Err() }

// Value implements context.Context. Package context asks for a key of its own to
// find the cause, and to end what is derived without a goroutine.
func (c *runContext) Value(key any) any {
	switch key {
	case runKey{}:
		return c.run
	case requestKey{}: // that of a request which a middleware has made: not below it
		return nil
	}
	return c.standard().Value(key)
}

func (c *runContext) standard() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.std == nil {
		ctx, cancel := context.WithCancelCause(context.Background())
		if c.cause != nil {
			cancel(c.cause)
		}
		c.cancel = cancel
		c.std, c.stop = context.WithDeadlineCause(ctx, c.deadline, ErrExpired)
	}
	return c.std
}

// end ends the context, for cause. The first cause counts.
func (c *runContext) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil {
		c.cause = cause
	}
	if c.std != nil {
		c.cancel(cause)
		c.stop() // its timer
	}
}

// expired reports whether it has ended by its deadline, as far as anybody has
// seen.
func (c *runContext) expired() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.std != nil {
		return errors.Is(context.Cause(c.std), ErrExpired)
	}
	return errors.Is(c.cause, ErrExpired)
}
