package worker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func newRunContext(left time.Duration) *runContext {
	r := &run{}
	r.ctx = runContext{run: r, deadline: time.Now().Add(left)}
	return &r.ctx
}

// Whoever looks, and whenever, sees what package context would have shown.
func TestRunContextEnds(t *testing.T) {
	for name, test := range map[string]struct {
		act   func(c *runContext)
		err   error
		cause error
	}{
		"withdrawn before anybody looks": {func(c *runContext) { c.end(ErrWithdrawn) }, context.Canceled, ErrWithdrawn},
		"withdrawn after":                {func(c *runContext) { c.Done(); c.end(ErrWithdrawn) }, context.Canceled, ErrWithdrawn},
		"the first cause counts": {func(c *runContext) {
			c.end(ErrLeaseOver)
			c.end(ErrWithdrawn)
		}, context.Canceled, ErrLeaseOver},
		"the deadline passes before anybody looks": {func(*runContext) { time.Sleep(time.Second) }, context.DeadlineExceeded, ErrExpired},
		"the deadline passes after": {func(c *runContext) {
			c.Done()
			time.Sleep(time.Second)
		}, context.DeadlineExceeded, ErrExpired},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newRunContext(time.Second)
				test.act(c)
				derived, cancel := context.WithTimeout(c, time.Hour)
				defer cancel()
				for who, ctx := range map[string]context.Context{"itself": c, "derived": derived} {
					<-ctx.Done()
					if !errors.Is(ctx.Err(), test.err) || !errors.Is(context.Cause(ctx), test.cause) {
						t.Errorf("%s: %v, cause %v; want %v, %v", who, ctx.Err(), context.Cause(ctx), test.err, test.cause)
					}
				}
				if got, want := c.expired(), errors.Is(test.cause, ErrExpired); got != want {
					t.Errorf("expired: %v", got)
				}
				c.end(context.Canceled) // as the loop does, once the handler has returned
			})
		})
	}
}

// What is derived ends with it, without a goroutine in between; its deadline and
// its run are there, and no other value.
func TestRunContextIsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRunContext(time.Minute)
		if d, ok := c.Deadline(); !ok || time.Until(d) != time.Minute {
			t.Errorf("deadline %v", d)
		}
		if c.Value(runKey{}) != c.run || c.Value("else") != nil {
			t.Error("the values are wrong")
		}
		called := false
		context.AfterFunc(c, func() { called = true })
		c.end(ErrSuperseded)
		synctest.Wait()
		if !called || !errors.Is(context.Cause(c), ErrSuperseded) {
			t.Errorf("called: %t, cause: %v", called, context.Cause(c))
		}
	})
}

// A handler that does not look costs neither a timer nor a channel.
func TestRunContextIsLazy(t *testing.T) {
	c := newRunContext(time.Minute)
	c.Deadline()
	c.Value(runKey{})
	RequestFrom(c)
	c.expired()
	c.end(context.Canceled)
	if c.std != nil {
		t.Error("it made a context that nobody wanted")
	}
}
