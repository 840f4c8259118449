package core

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestWheelAgainstSort holds the wheel against a sorted list, over all levels.
// Some timers are due at the very start of a slot, and some are set anew when
// they fire.
func TestWheelAgainstSort(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		now := time.Duration(rng.Int64N(int64(time.Hour)))
		w := newWheel(now)
		live := map[*timer]time.Duration{}
		for range 300 {
			tm := &timer{}
			due := now + time.Duration(rng.Int64N(int64(1)<<(10+rng.IntN(38))))
			if rng.IntN(4) == 0 {
				due = due.Truncate(wheelTick << (6 * rng.IntN(3)))
			}
			w.set(tm, due)
			live[tm] = due
			if rng.IntN(4) == 0 {
				w.clear(tm)
				delete(live, tm)
			} else if rng.IntN(4) == 0 {
				live[tm] = now + time.Duration(rng.Int64N(int64(time.Minute)))
				w.set(tm, live[tm])
			}
		}
		if w.size != len(live) {
			t.Fatalf("round %d: size %d, want %d", round, w.size, len(live))
		}
		for len(live) > 0 {
			next, ok := w.deadline()
			if !ok {
				t.Fatalf("round %d: no deadline with %d timers", round, len(live))
			}
			var dues []time.Duration
			for _, d := range live {
				dues = append(dues, d)
			}
			earliest := slices.Min(dues)
			if next > earliest+wheelTick && next > now+wheelTick {
				t.Fatalf("round %d: deadline %v after the earliest timer %v", round, next, earliest)
			}
			now = max(now, next)
			if rng.IntN(5) == 0 {
				now += time.Duration(rng.Int64N(int64(time.Second)))
			}
			for tm := w.advance(now); tm != nil; tm = w.advance(now) {
				due, known := live[tm]
				if !known {
					t.Fatalf("round %d: a timer fired that was not set", round)
				}
				if due > now {
					t.Fatalf("round %d: fired %v early", round, due-now)
				}
				delete(live, tm)
				if rng.IntN(3) == 0 {
					live[tm] = now + time.Duration(rng.Int64N(int64(10*time.Second)))
					w.set(tm, live[tm])
				}
			}
			for _, due := range live {
				if due+wheelTick < now {
					t.Fatalf("round %d: %v overdue by %v", round, due, now-due)
				}
			}
		}
	}
}

// TestWheelWakesRarely: a lone far timer costs a few turns, not one per tick.
func TestWheelWakesRarely(t *testing.T) {
	w := newWheel(0)
	w.set(&timer{}, time.Hour)
	turns := 0
	for {
		next, ok := w.deadline()
		if !ok {
			break
		}
		turns++
		w.advance(next)
	}
	if turns > wheelLevels {
		t.Errorf("%d turns for one timer, want at most %d", turns, wheelLevels)
	}
}
