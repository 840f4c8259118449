// Package pulse tells a test that runs in real time whether the machine let it.
package pulse

import "time"

const (
	every = 10 * time.Millisecond
	// Late is how much later than asked for this process ran, where times of some
	// hundred milliseconds say nothing about the peer any more.
	Late = 50 * time.Millisecond
)

// Watch begins to look. The function that it returns ends that, and returns how
// late this process ran at worst.
func Watch() (end func() time.Duration) {
	quit, worst := make(chan struct{}), make(chan time.Duration)
	late, last := time.Duration(0), time.Now()
	go func() {
		for {
			select {
			case <-quit:
				worst <- max(late, time.Since(last)-every)
				return
			case <-time.After(every):
				now := time.Now()
				late, last = max(late, now.Sub(last)-every), now
			}
		}
	}()
	return func() time.Duration {
		close(quit)
		return <-worst
	}
}

// Steady does something until it went well, or the machine let it run in time, or
// five times. What fails on a steady machine fails at once.
func Steady(try func() (ok bool)) { steady(try, Watch) }

func steady(try func() bool, watch func() func() time.Duration) {
	for range 5 {
		end := watch()
		ok := try()
		if late := end(); ok || late < Late {
			return
		}
	}
}
