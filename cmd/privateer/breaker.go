package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// The waits of a worker whose COMMAND cannot be started: they double.
const (
	breakFirst = time.Second
	breakMost  = 30 * time.Second
)

// A breaker keeps a worker that cannot start its COMMAND from taking what others
// could do. It closes for a doubling while at each failed start, and lets all
// through again after one that succeeded. It is safe for concurrent use.
type breaker struct {
	retry time.Duration // failing for longer than this is the end

	mu       sync.Mutex
	since    time.Time // the first of the failures that follow each other
	last     time.Time // the newest of them
	until    time.Time // nothing is started before
	wait     time.Duration
	under    int           // starts that were let through and are not over
	err      error         // of the newest failure; nil after a success
	tripped  chan struct{} // closed when the worker is to leave; nil: it is not looked for
	cannotBe error         // it is over: what to end with
}

// A downtime is what a failed start leads to.
type downtime struct {
	err   error
	wait  time.Duration
	first bool // of those that follow each other
}

// enter asks to start something. Each enter that is let through is followed by one leave.
func (b *breaker) enter(now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil && now.Before(b.until) {
		return fmt.Errorf("nothing is taken for now: %w", b.err)
	}
	b.under++
	return nil
}

// leave says that what was started is over.
func (b *breaker) leave(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.under--
	b.look(now)
}

// started says that a start has succeeded. It reports whether others had failed before.
func (b *breaker) started() (again bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	again = b.err != nil
	b.err, b.cannotBe, b.wait = nil, nil, 0
	return again
}

// failed says that a start has failed.
func (b *breaker) failed(now time.Time, err error) downtime {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := downtime{err: err}
	if b.err == nil || now.Sub(b.last) > b.retry+2*breakMost { // long ago: that is another trouble
		d.first = true
		b.since, b.wait = now, 0
	}
	if now.Before(b.until) { // let through beside another one that failed
		d.wait = b.until.Sub(now)
	} else {
		b.wait = min(max(2*b.wait, breakFirst), breakMost)
		b.until, d.wait = now.Add(b.wait), b.wait
	}
	b.last, b.err = now, err
	if lasted := now.Sub(b.since); lasted >= b.retry {
		b.cannotBe = fmt.Errorf("COMMAND could not be started for %v (--spawn-retry): %w", lasted.Round(time.Second), err)
	}
	b.look(now)
	return d
}

// look tells the worker to leave, once nothing is under way. What runs is not cut off.
func (b *breaker) look(now time.Time) {
	if b.err != nil && b.under == 0 && b.tripped != nil && (b.cannotBe != nil || now.Before(b.until)) {
		close(b.tripped)
		b.tripped = nil
	}
}

// watch returns a context that ends with ctx, or when the worker is to leave.
func (b *breaker) watch(ctx context.Context) (leaving context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	tripped := make(chan struct{})
	b.mu.Lock()
	b.tripped = tripped
	b.look(time.Now())
	b.mu.Unlock()
	go func() {
		select {
		case <-tripped:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// rest waits until a start may be tried again. It reports whether ctx still stands;
// the error says that it has lasted for too long.
func (b *breaker) rest(ctx context.Context) (goOn bool, err error) {
	b.mu.Lock()
	until, err := b.until, b.cannotBe
	b.mu.Unlock()
	if err != nil {
		return false, err
	}
	return pause(ctx, time.Until(until)), nil
}
