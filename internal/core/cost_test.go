package core

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/privateer-mq/privateer/internal/flat"
	"github.com/privateer-mq/privateer/protocol"
)

// shapes are requests and replies whose bodies say little of what they take.
var shapes = []struct {
	name     string
	body     func() [][]byte
	meta     protocol.Meta
	envelope [][]byte
	askers   int
	sockets  int // that each asker comes from, one after the other
}{
	{name: "a small frame", body: func() [][]byte { return [][]byte{[]byte("x")} }},
	{name: "no frame", body: func() [][]byte { return nil }},
	{name: "1,024 empty frames", body: func() [][]byte { return make([][]byte, 1024) }},
	{name: "1,024 frames of a byte", body: func() [][]byte { return bytes.SplitAfter(bytes.Repeat([]byte("x"), 1023), nil) }},
	{name: "255 empty frames", body: func() [][]byte { return make([][]byte, 255) }},
	{name: "a large frame", body: func() [][]byte { return [][]byte{make([]byte, LentMax)} }},
	{name: "fields of 8 kB", body: func() [][]byte { return nil }, meta: protocol.Meta(nil).AppendHeader("k", strings.Repeat("v", 8000))},
	{name: "an envelope of 2 kB", body: func() [][]byte { return nil }, envelope: [][]byte{make([]byte, 256), make([]byte, 256), make([]byte, 256), make([]byte, 256),
		make([]byte, 256), make([]byte, 256), make([]byte, 256), {}}},
	{name: "eight askers", body: func() [][]byte { return nil }, askers: 8, envelope: [][]byte{make([]byte, 256), {}}},
	{name: "ever new sockets", body: func() [][]byte { return nil }, sockets: 100},
}

// heapNow is what lives.
func heapNow() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Whatever a request is made of, all of them together take little more than the bound on
// their bytes, and are refused beyond.
func TestWhatRequestsTake(t *testing.T) {
	const bound = 4 << 20
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) {
			l := newLabourer(t, func(cfg *Config) {
				cfg.MaxQueue, cfg.MaxIDs, cfg.MaxMessage, cfg.MaxQueueBytes = 1<<20, 1<<20, 1<<20, bound
			})
			before := heapNow()
			n := 0
			for full := false; !full; n++ {
				for k := range max(s.askers, 1) * max(s.sockets, 1) {
					m := protocol.Message{Command: protocol.Request, Service: []byte("s"), ID: numbered(n), Number: uint32(1 + k), Instance: uint64(7 + k/max(s.sockets, 1)),
						RemainingMS: 60_000, Body: s.body(), Meta: slices.Clone(s.meta)}
					envelope := s.envelope
					if envelope == nil {
						envelope = bare
					}
					id := fmt.Appendf(nil, "%0*d", 5+250*min(s.sockets, 1), k)
					l.did(l.c.Client(0, Peer{ID: id, Envelope: envelope}, &m, nil))
					if a := l.answer(Front, protocol.Reply); a != nil {
						if full = a.Code == protocol.Overloaded; !full {
							t.Fatalf("%v: %s", a.Code, a.Meta.Get(protocol.MetaErrorText))
						}
					}
				}
				if n%100 == 0 {
					l.c.Tick(0, nil)
				}
			}
			l.out = nil
			l.c.Tick(0, nil)
			if took := heapNow() - before; took > bound*5/4 || l.c.queueBytes > bound {
				t.Errorf("%d requests take %d bytes, %d each, counted %d; the bound is %d", n, took, took/int64(n), l.c.queueBytes, bound)
			}
			l.check()
			w := Withdrawal{Service: "s"}
			for done := false; !done; {
				_, done = l.c.WithdrawSome(0, &w, nil)
			}
			if l.c.queueBytes != 0 {
				t.Errorf("%d bytes are counted of none", l.c.queueBytes)
			}
		})
	}
}

// So do the replies that are kept, whatever they are made of.
func TestWhatRepliesTake(t *testing.T) {
	const bound = 4 << 20
	for _, s := range shapes[2:7] {
		t.Run(s.name, func(t *testing.T) {
			l := newLabourer(t, func(cfg *Config) {
				cfg.MaxMessage, cfg.MaxQueueBytes, cfg.MaxIDs, cfg.ReplayBytes = 1<<20, 1<<30, 1<<20, bound
			})
			l.joins(1, "s")
			before := heapNow()
			n := 0
			for took := int64(-1); n < 1000 || l.c.replayBytes > took && n < 1<<19; n++ {
				took = l.c.replayBytes
				l.asks(protocol.Message{ID: numbered(n)})
				l.works(protocol.Message{Command: protocol.Reply, Code: protocol.OK, ID: numbered(n), Number: 1, Body: s.body(), Meta: slices.Clone(s.meta)})
				l.c.Tick(0, nil)
				l.c.Spent()
			}
			l.out = nil
			took := heapNow() - before
			if took -= int64(200 * n); took > bound*5/4+replaySlack || l.c.replayBytes < bound/2 {
				t.Errorf("%d replies take %d bytes, %d each, counted %d; the bound is %d", n, took, took/int64(n), l.c.replayBytes, bound)
			}
			l.check()
		})
	}
}

// And the dead letters.
func TestWhatDeadLettersTake(t *testing.T) {
	const bound = 4 << 20
	for _, s := range shapes[:7] {
		t.Run(s.name, func(t *testing.T) {
			l := newLabourer(t, func(cfg *Config) {
				cfg.MaxMessage, cfg.MaxQueueBytes, cfg.MaxIDs, cfg.MaxDead, cfg.MaxDeadBytes, cfg.MaxAttempts = 1<<20, 1<<30, 1<<20, 1<<20, bound, 1
			})
			l.joins(1, "s")
			before := heapNow()
			n := 0
			for ; n < 20_000 && (n == 0 || l.drops(DropDeadLetter) == 0); n++ {
				l.asks(protocol.Message{ID: numbered(n), Body: s.body(), Meta: slices.Clone(s.meta)})
				l.works(protocol.Message{Command: protocol.Reply, Code: protocol.Retry, ID: numbered(n), Number: 1})
				l.c.Spent()
			}
			dropped := l.drops(DropDeadLetter)
			l.out = nil
			l.c.Tick(0, nil)
			took := heapNow() - before - int64(250*n)
			if took > bound*5/4 || dropped == 0 {
				t.Errorf("%d dead letters take %d bytes, %d each, counted %d; the bound is %d", n, took, took/int64(n), l.c.deadBytes, bound)
			}
			l.check()
		})
	}
}

// A request that takes more than all may is told so: it would be told to wait for ever.
func TestMoreThanAllMayTake(t *testing.T) {
	l := newLabourer(t, func(cfg *Config) { cfg.MaxMessage, cfg.MaxQueueBytes = 1<<20, 10_000 })
	l.asks(protocol.Message{ID: numbered(1), Body: make([][]byte, 1024)})
	if a := l.answer(Front, protocol.Reply); a.Code != protocol.Invalid || a.Flags.Certainty() != protocol.NotStarted {
		t.Errorf("%v", a)
	}
	l.asks(protocol.Message{ID: numbered(1), Body: [][]byte{make([]byte, 9_000)}})
	if a := l.answer(Front, protocol.Reply); a != nil {
		t.Errorf("%v", a)
	}
	l.check()
}

// What a request costs is told to those who size a machine.
func TestTableOfCosts(t *testing.T) {
	text, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	reply := flat.Cost(nil, []byte("x")) - 1
	for _, says := range []string{
		fmt.Sprintf("| queued and running requests | %d + the body", requestCost),
		fmt.Sprintf("| ... of those that were queued again | %d more", rareCost),
		fmt.Sprintf("| ... that workers hold for an earlier broker, until clients ask | %d |", requestCost),
		fmt.Sprintf("| replies kept for clients that ask again | %d + the body", reply),
		fmt.Sprintf("%d, its body, its fields, %d for each frame after the first; %d for each frame and %d where", requestCost, slabFrameCost, frameCost, rareCost),
		fmt.Sprintf("| dead letters | %d + the body", deadCost),
		fmt.Sprintf("and %d and more for each further client instance", routeCost),
	} {
		if !strings.Contains(string(text), says) {
			t.Errorf("*Memory* in docs/operating.md does not say %q", says)
		}
	}
	if size := unsafe.Sizeof(rare{}); size > rareCost {
		t.Errorf("a rare takes %d bytes", size)
	}
}
