package core

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/privateer-mq/privateer/protocol"
)

// What a request keeps is what it was given, however its client wanders.
func TestSlab(t *testing.T) {
	c := New(testConfig(), 0)
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 2))
		r := c.newRequest()
		m := protocol.Message{}
		for range rng.IntN(4) {
			m.Body = append(m.Body, bytes.Repeat([]byte{byte(rng.IntN(256))}, rng.IntN([]int{2, 100, LentMax, 2 * LentMax, 20_000}[rng.IntN(5)])))
		}
		if rng.IntN(10) == 0 {
			m.Body = make([][]byte, framesMax+rng.IntN(2))
		}
		if rng.IntN(2) == 0 {
			m.Meta = protocol.ErrorMeta("text")
		}
		from := Peer{ID: []byte("first")}
		r.room(from, &m)
		r.setContent(m.Body, m.Meta)
		others := map[uint64]string{}
		for n := range 3 + rng.IntN(1500) {
			id := fmt.Appendf(nil, "%050d", rng.IntN(n+2))
			rt := route{instance: 1, try: uint32(n + 1), peer: Peer{ID: id, Port: protocol.Port(rng.IntN(2)), Dialect: protocol.Dialect(rng.IntN(4))}}
			switch rng.IntN(3) {
			case 0:
				rt.peer.Envelope = [][]byte{{}}
			case 1:
				rt.peer.Envelope = [][]byte{[]byte("correlate"), {}}
			}
			if n > 0 && rng.IntN(100) == 0 {
				rt.instance = uint64(2 + rng.IntN(3))
				others[rt.instance] = string(id)
			}
			r.setRoute(rt)
			want := fmt.Sprintf("%+v", rt)
			clear(id) // it was lent
			for _, f := range rt.peer.Envelope {
				clear(f)
			}
			got, ok := r.route(rt.instance)
			if s := fmt.Sprintf("%+v", got); !ok || s != want {
				t.Fatalf("seed %d: kept %s, was given %s", seed, s, want)
			}
		}
		for instance, id := range others {
			if rt, ok := r.route(instance); !ok || string(rt.peer.ID) != id {
				t.Fatalf("seed %d: instance %d hears at %q, want %q", seed, instance, rt.peer.ID, id)
			}
		}
		if got := c.content(r); !slices.EqualFunc(got, m.Body, bytes.Equal) || !bytes.Equal(r.meta(), m.Meta) {
			t.Fatalf("seed %d: kept %d frames, was given %d", seed, len(got), len(m.Body))
		}
		if len(r.slab) > slabMax+len(m.Meta) {
			t.Fatalf("seed %d: the slab has %d bytes", seed, len(r.slab))
		}
		c.freeRequest(r)
		c.Tick(0, nil)
	}
}

// A queued request takes at most 300 bytes besides its body.
func TestMemoryOfAQueuedRequest(t *testing.T) {
	if each := memoryQueued(1_000_000); each > 300 {
		t.Errorf("%.0f bytes a queued request", each)
	}
}

// A request that is known from a claim is asked for from many sockets before its body
// is here; what is kept then is what was given.
func TestSlabBeforeTheBody(t *testing.T) {
	c := New(testConfig(), 0)
	for _, tries := range []int{1, 100, 250, 257, 600} {
		for _, size := range []int{0, 1, 500, 20_000, slabMax / 2} {
			r := c.newRequest()
			for n := range tries {
				r.setRoute(route{instance: 1, try: uint32(n + 1), peer: Peer{ID: bytes.Repeat([]byte{byte(n)}, 255)}})
			}
			want := protocol.Message{Meta: protocol.Meta(nil).AppendHeader("k", string(bytes.Repeat([]byte("v"), 8000)))}
			for left := size; left > 0; left -= LentMax - 1 {
				want.Body = append(want.Body, bytes.Repeat([]byte{byte(left)}, min(left, LentMax-1)))
			}
			r.setContent(want.Body, want.Meta)
			if rt := r.first(); !bytes.Equal(rt.peer.ID, bytes.Repeat([]byte{byte(tries - 1)}, 255)) {
				t.Errorf("%d tries, %d bytes: hears at %x…", tries, size, rt.peer.ID[:4])
			}
			if got := c.content(r); !slices.EqualFunc(got, want.Body, bytes.Equal) || !bytes.Equal(r.meta(), want.Meta) {
				t.Errorf("%d tries, %d bytes: kept other frames than it was given", tries, size)
			}
		}
	}
}
