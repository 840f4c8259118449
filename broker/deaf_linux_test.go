package broker_test

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/broker"
	"github.com/privateer-mq/privateer/internal/link/zmtplink/zmtp"
	"github.com/privateer-mq/privateer/protocol"
	"github.com/privateer-mq/privateer/worker"
)

// What the broker and one worker hold is bounded by the table of memory, whoever asks for
// large replies and reads none of them.
func TestClientsThatNeverRead(t *testing.T) {
	const clients, asks, size = 2, 300, 1_000_000
	const most = 16<<20 + 32<<20 + 64<<20 + // kept replies, what waits on connections, memory of large frames
		16<<20 + 16<<20 + 64<<20 // and of the worker: replies it keeps, its connection, large frames
	r := start(t, broker.Config{Transport: "zmtp", ReplayBytes: 16 << 20, MaxLinkBytes: 32 << 20,
		Frontends: []string{"tcp://127.0.0.1:0"}, Backends: []string{"tcp://127.0.0.1:0"}})
	defer r.end()
	front, back := r.broker.Addrs()
	w, err := worker.New(worker.Config{Brokers: []string{back}, Services: []string{"bulk"}, Concurrency: 4, RetainBytes: 16 << 20},
		worker.HandlerFunc(func(context.Context, *worker.Request) ([]byte, error) { return make([]byte, size), nil }))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	r.awaitIdle(1)
	before, peak := heap(), int64(0)
	conns := make([]net.Conn, clients)
	for c := range conns {
		conns[c] = deafClient(t, strings.TrimPrefix(front, "tcp://"))
	}
	for n := range asks {
		for c, nc := range conns {
			m := protocol.Message{Command: protocol.Request, Number: 1, Instance: uint64(c + 1), RemainingMS: 30_000, Service: []byte("bulk"), Body: [][]byte{[]byte("?")}}
			m.ID[0], m.ID[1], m.ID[2] = byte(c+1), byte(n), byte(n>>8)
			frames, _ := protocol.AppendFrames([][]byte{nil}, nil, protocol.FrontIn, &m)
			if _, err := nc.Write(encode(frames)); err != nil { // it was cut off, and comes back
				conns[c] = deafClient(t, strings.TrimPrefix(front, "tcp://"))
			}
		}
		if n%50 == 49 {
			peak = max(peak, heap()-before)
		}
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		s, err := r.broker.Stats()
		if err != nil || time.Now().After(end) {
			t.Fatalf("%+v %v", s.Gauges, err)
		}
		if s.Gauges.Open == 0 && s.Counters.Outcomes[protocol.OK] > asks {
			break
		}
	}
	peak = max(peak, heap()-before)
	if peak > most {
		t.Errorf("%d MiB are held, want %d at most", peak>>20, most>>20)
	} else {
		t.Logf("%d MiB are held, of %d", peak>>20, most>>20)
	}
}

// deafClient is a connection of a DEALER that nobody reads.
func deafClient(t *testing.T, at string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	h := zmtp.NewHandshake(zmtp.Config{Type: zmtp.Dealer, Connects: true, Mechanism: zmtp.Null{}})
	for b := make([]byte, 1); !h.Done(); {
		if _, err := nc.Write(h.Output()); err != nil {
			t.Fatal(err)
		}
		if _, err := nc.Read(b); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Feed(b); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := nc.Write(h.Output()); err != nil {
		t.Fatal(err)
	}
	return nc
}

// encode is a message on the wire.
func encode(frames [][]byte) (b []byte) {
	for i, f := range frames {
		flags := byte(zmtp.More)
		if i == len(frames)-1 {
			flags = zmtp.Last
		}
		b = slices.Concat(zmtp.AppendHeader(b, flags, len(f)), f)
	}
	return b
}
