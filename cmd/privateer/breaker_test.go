package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestBreaker: a failed start closes it for a doubling while, for at most half a
// minute; a success opens it; and what lasts is an end.
func TestBreaker(t *testing.T) {
	now, broken := time.Unix(0, 0), errors.New("no such program")
	b := &breaker{retry: 5 * time.Minute}
	ctx, stop := b.watch(t.Context())
	defer stop()
	fail := func(want time.Duration, first bool) {
		t.Helper()
		if err := b.enter(now); err != nil {
			t.Fatalf("at %v: %v", now, err)
		}
		if d := b.failed(now, broken); d.wait != want || d.first != first {
			t.Errorf("waits for %v, first %v; want %v, %v", d.wait, d.first, want, first)
		}
		b.leave(now)
		if err := b.enter(now.Add(want - time.Millisecond)); !errors.Is(err, broken) {
			t.Errorf("before the wait is over: %v", err)
		}
		now = now.Add(want)
	}
	fail(time.Second, true)
	<-ctx.Done() // the worker is to leave
	for _, want := range []time.Duration{2, 4, 8, 16, 30, 30, 30} {
		fail(want*time.Second, false)
	}
	if err := b.enter(now); err != nil {
		t.Fatal(err)
	}
	if !b.started() || b.started() {
		t.Error("a success after failures is one once")
	}
	b.leave(now)
	fail(time.Second, true)
	now = now.Add(time.Hour) // nobody asked
	fail(time.Second, true)
	for range 20 {
		if err := b.enter(now); err != nil {
			t.Fatal(err)
		}
		now = now.Add(b.failed(now, broken).wait)
		b.leave(now)
	}
	if goOn, err := b.rest(t.Context()); goOn || !errors.Is(err, broken) || !strings.Contains(err.Error(), "--spawn-retry") {
		t.Errorf("after minutes of failures: %v, %v", goOn, err)
	}
}

// TestBreakerWaitsForWhatRuns: the worker leaves once nothing is under way, so that
// nothing is cut off.
func TestBreakerWaitsForWhatRuns(t *testing.T) {
	now, broken := time.Now(), errors.New("no such program")
	b := &breaker{retry: time.Hour}
	ctx, stop := b.watch(t.Context())
	defer stop()
	for range 2 {
		if err := b.enter(now); err != nil {
			t.Fatal(err)
		}
	}
	b.failed(now, broken)
	b.leave(now)
	if b.enter(now) == nil {
		t.Error("it takes more")
	}
	b.mu.Lock()
	leaves := b.tripped == nil
	b.mu.Unlock()
	if leaves {
		t.Error("it leaves while something runs")
	}
	b.leave(now)
	<-ctx.Done()
}
