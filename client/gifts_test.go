package client

import (
	"testing"
	"time"
)

// TestSameGifts: what both have does the same on both.
func TestSameGifts(t *testing.T) {
	bubble(t, Config{MaxInFlight: 2}, func(t *testing.T, do doer) {
		startFake(t, endpoint, 7, func(f *fake, q *asked) { f.after(time.Millisecond, func() { f.echo(q) }) })
		a, b := do.Go(t.Context(), Request{Service: "s", Body: []byte("a")}), do.Go(t.Context(), Request{Service: "s", Body: []byte("b")})
		for want, call := range map[string]*Call{"a": a, "b": b} {
			if reply, err := call.Reply(); err != nil || string(reply.Body()) != want {
				t.Errorf("%q, %v; want %s", reply.Body(), err, want)
			}
		}
		seen := map[int]bool{}
		for r, err := range do.Results(t.Context(), requests(5)) {
			if err != nil || seen[r.Index] || string(r.Reply.Body()) != string(r.Request.Body) {
				t.Errorf("%d: %q, %v", r.Index, r.Reply.Body(), err)
			}
			seen[r.Index] = true
		}
		if len(seen) != 5 {
			t.Errorf("%d results", len(seen))
		}
	})
}
