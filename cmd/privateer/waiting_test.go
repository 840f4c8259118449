package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/protocol"
)

// What nobody serves is told once for a request, after a second, and not once it has
// its outcome or a worker.
func TestWaitingIsTold(t *testing.T) {
	x, y := protocol.ID{15: 1}, protocol.ID{15: 2}
	nobody := client.Accepted{ID: x, Service: "summ", Nearest: "sum"}
	for name, c := range map[string]struct {
		play func(w *waitNote)
		want string
	}{
		"after a second": {func(w *waitNote) { w.accepted(nobody); time.Sleep(time.Second) },
			"waiting id=" + x.String() + ": no live worker serves summ; sum is served\n"},
		"not before": {func(w *waitNote) { w.accepted(nobody); time.Sleep(time.Second - 1); w.done(); time.Sleep(time.Second) }, ""},
		"no name is like it": {func(w *waitNote) { w.accepted(client.Accepted{ID: x, Service: "other"}); time.Sleep(time.Second) },
			"waiting id=" + x.String() + ": no live worker serves other\n"},
		"once, with every try": {func(w *waitNote) {
			for range 4 {
				w.accepted(nobody)
				time.Sleep(time.Second)
			}
		}, "waiting id=" + x.String() + ": no live worker serves summ; sum is served\n"},
		"a worker has come": {func(w *waitNote) {
			w.accepted(nobody)
			time.Sleep(time.Second / 2)
			w.accepted(client.Accepted{ID: x, Service: "summ", Workers: 1})
			time.Sleep(time.Second)
		}, ""},
		"of each request": {func(w *waitNote) {
			w.accepted(nobody)
			time.Sleep(time.Second / 2)
			w.done()
			w.accepted(client.Accepted{ID: y, Service: "summ"})
			time.Sleep(time.Second)
		}, "waiting id=" + y.String() + ": no live worker serves summ\n"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out strings.Builder
				c.play(&waitNote{out: &out, after: sayWaitingAfter})
				synctest.Wait()
				if out.String() != c.want {
					t.Errorf("said %q, want %q", out.String(), c.want)
				}
			})
		})
	}
}
