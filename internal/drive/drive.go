// Package drive runs the turns of a client or a worker, one at a time.
//
// There are two ways. Arrivals needs no goroutine of its own: whoever has
// something for a turn runs it, be it a caller, a handler that has returned, the
// reader of a connection or a timer. Loop is for links that can only be waited
// for: one goroutine runs turns and waits.
package drive

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
)

// A Turn is what came of one turn.
type Turn struct {
	Now   time.Duration // the clock's reading in it
	Due   time.Duration // when the next one is needed if nothing arrives; Never
	Again bool          // the next one is needed at once
	Yield bool          // others may well have something for the next one: they go first
	Done  bool          // it was the last one
}

// Never is further away than anything.
const Never = time.Duration(1<<63 - 1)

// turnsMax is how many turns one arrival runs. Under load each turn finds that
// more has arrived, and whoever runs them would be kept for as long: a caller
// from his outcome, a connection from being read. A goroutine that has nothing
// else to do goes on instead.
const turnsMax = 16

// Arrivals runs turns for whoever arrives. Its method Arrive is safe for
// concurrent use; everything that turn and done touch belongs to one goroutine
// at a time, the later one seeing what the earlier one did.
type Arrivals struct {
	turn  func() Turn
	done  func()
	count atomic.Int64 // arrivals that no turn has begun after

	timer *time.Timer
	rings time.Duration // when it does; the runner's
	rang  atomic.Bool
}

// NewArrivals returns an Arrivals whose turns are turn; the first one is that of
// Begin. After the last one, done is called, on a goroutine of its own.
func NewArrivals(turn func() Turn, done func()) *Arrivals {
	a := &Arrivals{turn: turn, done: done, rings: Never}
	a.count.Store(1)
	return a
}

// Begin runs the first turn. It must be called once.
func (a *Arrivals) Begin() { a.run(turnsMax) }

// Arrive says that there is something for a turn. If no turn is under way the
// caller runs it, and a few more while something is left; otherwise Arrive
// returns at once, and whoever is at it runs one more.
func (a *Arrivals) Arrive() {
	if a.count.Add(1) == 1 {
		a.run(turnsMax)
	}
}

// run runs turns until nothing is left, but no more than most.
func (a *Arrivals) run(most int) {
	whole := false
	defer func() {
		if !whole {
			broken(recover())
		}
	}()
	a.turns(most)
	whole = true
}

func (a *Arrivals) turns(most int) {
	for n := 1; ; n++ {
		seen := a.count.Load()
		t := a.turn()
		switch {
		case t.Done:
			if a.timer != nil {
				a.timer.Stop()
			}
			go a.done()
			return // and nobody runs one again: the count stays
		case t.Yield:
			runtime.Gosched()
		}
		if !t.Again {
			a.arm(t)
			if a.count.CompareAndSwap(seen, 0) {
				return
			}
		}
		if n == most {
			go a.run(math.MaxInt)
			return
		}
	}
}

// broken ends the process, since no turn can follow one that did not return, and
// all that wait for one would wait for ever. The goroutine that ran it may be
// one that recovers from panics.
func broken(why any) {
	text := "a turn has ended its goroutine (runtime.Goexit)"
	if why != nil {
		text = fmt.Sprintf("%v\n\n%s", why, debug.Stack())
	}
	go panic(text)
}

// arm sets the timer if it would ring too late. One that rings too early costs
// an idle turn, and less than being set anew with each.
func (a *Arrivals) arm(t Turn) {
	if a.rang.Swap(false) {
		a.rings = Never
	}
	if t.Due >= a.rings {
		return
	}
	a.rings = t.Due
	if wait := t.Due - t.Now; a.timer == nil {
		a.timer = time.AfterFunc(wait, a.ring)
	} else {
		a.timer.Reset(wait)
	}
}

func (a *Arrivals) ring() {
	a.rang.Store(true)
	if a.count.Add(1) == 1 {
		a.run(math.MaxInt) // it is the timer's own goroutine
	}
}

// Loop runs turns on the caller's goroutine and waits for host in between, until
// the last one, or an error of the wait. idle is asked before each wait: false
// means that something has come since the turn began.
func Loop(host link.Host, turn func() Turn, idle func() bool, waitMax time.Duration) error {
	for {
		t := turn()
		if t.Done {
			return nil
		}
		if t.Yield {
			runtime.Gosched()
		}
		wait := min(t.Due-t.Now, waitMax)
		if t.Again || !idle() {
			wait = 0
		}
		if err := host.Wait(wait); err != nil {
			return err
		}
	}
}
