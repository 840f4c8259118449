package drive

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Whatever arrives is followed by a turn that begins after it, turns never
// overlap, and each sees what the one before has left.
func TestArrivals(t *testing.T) {
	var posted, seen atomic.Int64
	running, plain, over := false, 0, make(chan struct{})
	a := NewArrivals(func() Turn {
		if running {
			t.Error("two turns at once")
		}
		running = true
		plain++ // the race detector looks
		n := posted.Load()
		seen.Store(n)
		running = false
		return Turn{Due: Never, Done: n == 4001, Yield: n%3 == 0}
	}, func() { close(over) })
	a.Arrive() // too early
	if plain != 0 {
		t.Fatal("a turn before Begin")
	}
	a.Begin()
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for range 1000 {
				posted.Add(1)
				a.Arrive()
			}
		})
	}
	callers.Wait()
	// A caller may have been let go, and the turns that remain be another goroutine's.
	for giveUp := time.Now().Add(time.Minute); seen.Load() != 4000; time.Sleep(time.Millisecond) {
		if time.Now().After(giveUp) {
			t.Fatalf("%d of 4000 were seen by a turn", seen.Load())
		}
	}
	posted.Add(1)
	a.Arrive()
	<-over
	before := plain
	a.Arrive()
	if plain != before {
		t.Error("a turn after the last one")
	}
}

// A turn comes when it is due, once, also when an earlier moment comes up, or the
// timer was set for an earlier one that has gone.
func TestArrivalsOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var turns []time.Duration
		due := Never
		a := NewArrivals(func() Turn {
			now := time.Since(start)
			turns = append(turns, now)
			if now >= due {
				due = Never
			}
			return Turn{Now: now, Due: due}
		}, func() {})
		expect := func(want ...time.Duration) {
			t.Helper()
			synctest.Wait()
			if len(turns) != len(want) {
				t.Fatalf("turns at %v, want %v", turns, want)
			}
			for i := range want {
				if turns[i] != want[i] {
					t.Fatalf("turns at %v, want %v", turns, want)
				}
			}
			turns = nil
		}
		a.Begin()
		expect(0)
		due = 5 * time.Second
		a.Arrive()
		due = 2 * time.Second
		a.Arrive()
		time.Sleep(10 * time.Second)
		expect(0, 0, 2*time.Second)
		due = 13 * time.Second
		a.Arrive()
		due = 15 * time.Second // the timer is left as it is
		a.Arrive()
		time.Sleep(10 * time.Second)
		expect(10*time.Second, 10*time.Second, 13*time.Second, 15*time.Second)
		due = 21 * time.Second
		a.Arrive()
		time.Sleep(10 * time.Second)
		expect(20*time.Second, 21*time.Second)
	})
}

// A turn that says Again is followed by another without an arrival.
func TestArrivalsAgain(t *testing.T) {
	left := 3
	a := NewArrivals(func() Turn { left--; return Turn{Due: Never, Again: left > 0} }, func() {})
	a.Begin()
	if left != 0 {
		t.Errorf("%d turns are missing", left)
	}
}

// Whoever arrives is let go after a few turns, whatever else arrives; the others
// go on without it.
func TestArrivalsLetGo(t *testing.T) {
	for _, again := range []bool{true, false} {
		busy, n, left, over := false, 0, make(chan struct{}), make(chan struct{})
		var a *Arrivals
		a = NewArrivals(func() Turn {
			if !busy {
				return Turn{Due: Never}
			}
			if n++; n == 1000 {
				select {
				case <-left:
				case <-time.After(2 * time.Second):
					t.Errorf("again=%v: an arrival is kept for %d turns", again, n)
				}
				return Turn{Due: Never, Done: true}
			}
			if !again {
				a.Arrive() // somebody else, in every turn
			}
			return Turn{Due: Never, Again: again}
		}, func() { close(over) })
		a.Begin()
		busy = true
		a.Arrive()
		close(left)
		<-over
	}
}

// A turn that does not return ends the process, though the goroutine it ran on
// would have lived: all others would wait for ever.
func TestBrokenTurn(t *testing.T) {
	const name = "DRIVE_TEST_BROKEN"
	breaks := map[string]func(){"panic": func() { panic("a hook's fault") }, "goexit": runtime.Goexit}
	if f := breaks[os.Getenv(name)]; f != nil {
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer func() { _ = recover() }()
			NewArrivals(func() Turn { f(); return Turn{} }, func() {}).Begin()
		}()
		<-done
		time.Sleep(time.Minute) // the end comes at once
		os.Exit(0)
	}
	for how, text := range map[string]string{"panic": "a hook's fault", "goexit": "runtime.Goexit"} {
		c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBrokenTurn$", "-test.timeout=5s")
		c.Env = append(os.Environ(), name+"="+how)
		out, err := c.CombinedOutput()
		if err == nil || !strings.Contains(string(out), text) || strings.Contains(string(out), "test timed out") {
			t.Errorf("%s: %v\n%s", how, err, out)
		}
	}
}
