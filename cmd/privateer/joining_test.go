package main

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// A worker that is without its broker for a moment, when it is looked at, is not one
// that cannot join; one that stays without is.
func TestLostForAMoment(t *testing.T) {
	const broker = "udp://nowhere" // the doctor does not examine it
	for name, c := range map[string]struct {
		play func(joined func(string), lost func(string, string))
		want int // lines
	}{
		"never joined": {func(func(string), func(string, string)) { time.Sleep(4 * time.Second) }, 1},
		"lost just before each look": {func(joined func(string), lost func(string, string)) {
			for range 20 {
				joined(broker)
				time.Sleep(900 * time.Millisecond)
				lost(broker, "")
				time.Sleep(100 * time.Millisecond)
			}
		}, 0},
		"lost for good": {func(joined func(string), lost func(string, string)) {
			joined(broker)
			time.Sleep(10 * time.Second)
			lost(broker, "")
			time.Sleep(7 * time.Second)
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log strings.Builder
				j := &joining{log: zerolog.New(&log), joined: map[string]bool{}, lost: map[string]time.Time{}}
				ctx, cancel := context.WithCancel(t.Context())
				go j.watch(ctx, broker)
				h := j.hooks()
				c.play(h.Joined, h.Lost)
				cancel()
				synctest.Wait()
				if n := strings.Count(log.String(), "not joined"); n != c.want {
					t.Errorf("%d lines, want %d: %s", n, c.want, log.String())
				}
			})
		})
	}
}
