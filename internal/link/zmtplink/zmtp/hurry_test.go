package zmtp

import (
	"bytes"
	"testing"
)

// A peer that waits for this side's READY gets one when asked to hurry, once, and
// its own may come after that. Where it has to be first nothing is sent.
func TestHurry(t *testing.T) {
	h := NewHandshake(Config{Type: Router, Mechanism: Null{}})
	h.Output()
	if h.Hurry() {
		t.Fatal("hurried before the greeting")
	}
	if _, err := h.Feed(greeting3(1, "NULL")); err != nil {
		t.Fatal(err)
	}
	h.Output()
	if !h.Hurry() || !bytes.Contains(h.Output(), []byte("READY")) || h.Hurry() {
		t.Fatal("no READY, or two")
	}
	if _, err := h.Feed(ready("DEALER", "me")); err != nil || !h.Done() || string(h.Peer().Identity) != "me" {
		t.Fatal(err, h.Done(), h.Peer())
	}
	if out := h.Output(); len(out) > 0 {
		t.Fatalf("%q after the handshake", out)
	}
	c := NewHandshake(Config{Type: Dealer, Connects: true, Mechanism: Null{}})
	if _, err := c.Feed(greeting3(1, "NULL")); err != nil || c.Hurry() {
		t.Fatal("the side that connects has sent its own")
	}
}
