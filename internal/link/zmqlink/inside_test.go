package zmqlink

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/pebbe/zmq4"

	"github.com/privateer-mq/privateer/internal/link"
)

func TestPollSliceIsRoundedUpAndBounded(t *testing.T) {
	for remaining, want := range map[time.Duration]time.Duration{
		-time.Hour:             0,
		0:                      0,
		1:                      time.Millisecond,
		900 * time.Microsecond: time.Millisecond,
		time.Millisecond:       time.Millisecond,
		time.Millisecond + 1:   2 * time.Millisecond,
		sliceMax:               sliceMax,
		sliceMax + 1:           sliceMax,
		1<<63 - 1:              sliceMax,
	} {
		if got := pollSlice(remaining); got != want {
			t.Errorf("pollSlice(%v) = %v, want %v", remaining, got, want)
		}
	}
}

func TestObserve(t *testing.T) {
	var s socket
	for _, e := range []zmq4.Event{
		zmq4.EVENT_HANDSHAKE_SUCCEEDED,
		zmq4.EVENT_HANDSHAKE_FAILED_PROTOCOL, zmq4.EVENT_HANDSHAKE_FAILED_NO_DETAIL, zmq4.EVENT_DISCONNECTED,
		zmq4.EVENT_DISCONNECTED,
		zmq4.EVENT_HANDSHAKE_SUCCEEDED,
	} {
		s.observe(e)
	}
	if want := []link.Kind{link.Connected, link.Disconnected, link.Connected}; !slices.Equal(s.events, want) {
		t.Errorf("events %v, want %v", s.events, want)
	}
	if s.connections != 1 {
		t.Errorf("%d connections, want 1", s.connections)
	}
}

// The options that nothing else here would notice the loss of.
func TestSocketOptions(t *testing.T) {
	h := insideHost(t)
	opened, err := h.Open(link.Options{
		Role: link.Dealer, Endpoints: []string{"tcp://127.0.0.1:1"}, Identity: []byte("i\x00d"),
		SendMax: 7, FrameBytesMax: 99, ReconnectMin: 11 * time.Millisecond, ReconnectMax: 2 * time.Second,
		ConnectTimeout: 3 * time.Second, Linger: 1500 * time.Microsecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	raw := opened.(*socket).socket
	for name, c := range map[string]struct {
		get  func() (any, error)
		want any
	}{
		"LINGER":              {func() (any, error) { return raw.GetLinger() }, 2 * time.Millisecond},
		"SNDHWM":              {func() (any, error) { return raw.GetSndhwm() }, 7},
		"RCVHWM":              {func() (any, error) { return raw.GetRcvhwm() }, 1000},
		"MAXMSGSIZE":          {func() (any, error) { return raw.GetMaxmsgsize() }, int64(99)},
		"IMMEDIATE":           {func() (any, error) { return raw.GetImmediate() }, true},
		"HANDSHAKE_IVL":       {func() (any, error) { return raw.GetHandshakeIvl() }, 5 * time.Second},
		"RECONNECT_IVL":       {func() (any, error) { return raw.GetReconnectIvl() }, 11 * time.Millisecond},
		"RECONNECT_IVL_MAX":   {func() (any, error) { return raw.GetReconnectIvlMax() }, 2 * time.Second},
		"CONNECT_TIMEOUT":     {func() (any, error) { return raw.GetConnectTimeout() }, 3 * time.Second},
		"TCP_KEEPALIVE":       {func() (any, error) { return raw.GetTcpKeepalive() }, 1},
		"TCP_KEEPALIVE_IDLE":  {func() (any, error) { return raw.GetTcpKeepaliveIdle() }, 15},
		"TCP_KEEPALIVE_INTVL": {func() (any, error) { return raw.GetTcpKeepaliveIntvl() }, 5},
		"TCP_KEEPALIVE_CNT":   {func() (any, error) { return raw.GetTcpKeepaliveCnt() }, 3},
		"TCP_MAXRT":           {func() (any, error) { return raw.GetTcpMaxrt() }, 30 * time.Second},
		"ROUTING_ID":          {func() (any, error) { return raw.GetIdentity() }, "i\x00d"},
	} {
		if got, err := c.get(); err != nil || got != c.want {
			t.Errorf("%s is %v (%v), want %v", name, got, err, c.want)
		}
	}
	router, err := h.Open(link.Options{Role: link.Router, Endpoints: []string{"tcp://127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	if backlogSet, err := router.(*socket).socket.GetBacklog(); err != nil || backlogSet != 1024 {
		t.Errorf("BACKLOG is %d (%v)", backlogSet, err)
	}
}

func TestFailedOpenLeavesNothing(t *testing.T) {
	h := insideHost(t)
	o := link.Options{Role: link.Router, Endpoints: []string{"tcp://127.0.0.1:0", "tcp://192.0.2.1:5555"}, Monitor: true}
	if _, err := h.Open(o); err == nil {
		t.Fatal("bound an address of another machine")
	}
	if len(h.sockets) != 0 || len(h.monitors) != 0 {
		t.Fatalf("%d sockets and %d monitors are left", len(h.sockets), len(h.monitors))
	}
}

// A signal in the middle of a call is the only error that is tried again.
func TestAgain(t *testing.T) {
	results := []error{interrupted, interrupted, zmq4.EADDRINUSE, nil}
	calls := 0
	err := again(func() error {
		calls++
		return results[calls-1]
	})
	if calls != 3 || !errors.Is(err, zmq4.EADDRINUSE) {
		t.Fatalf("%d calls, error %v", calls, err)
	}
}

// Of a message of too many frames no more come than show that it is one, and its
// neighbours come whole.
func TestTooManyFrames(t *testing.T) {
	h := insideHost(t)
	router, err := h.Open(link.Options{Role: link.Router, Endpoints: []string{"tcp://127.0.0.1:0"}, FramesMax: 3})
	if err != nil {
		t.Fatal(err)
	}
	f := newFerryTo(t, h, router)
	large := make([]byte, link.LentMax)
	for _, frames := range [][][]byte{
		{{'a'}, {}, {}}, {{'b'}, {}, {}, {}}, {{'c'}, large, {}, large, {}}, append([][]byte{{'d'}}, make([][]byte, 2000)...), {{'e'}},
	} {
		if err := f.Send(nil, frames...); err != nil {
			t.Fatal(err)
		}
	}
	got := ""
	for end := time.Now().Add(10 * time.Second); len(got) < 16 && time.Now().Before(end); {
		if err := h.Wait(time.Millisecond); err != nil {
			t.Fatal(err)
		}
		in, err := router.Recv(nil, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range in {
			if m.Kind == link.Data {
				got += fmt.Sprint(string(m.Frames[0]), len(m.Frames))
			}
		}
	}
	if got != "hello1a3b4c4d4e1" {
		t.Fatalf("%q came", got)
	}
}

// libzmq makes its routing ids of the seed that it was given.
func TestSeedIsUsed(t *testing.T) {
	first := func(seed uint32) string {
		h := insideHost(t)
		seeded = func() uint32 { return seed }
		router, err := h.Open(link.Options{Role: link.Router, Endpoints: []string{"tcp://127.0.0.1:0"}})
		seeded = rand.Uint32
		if err != nil {
			t.Fatal(err)
		}
		if err := newFerryTo(t, h, router).Send(nil, []byte("x")); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
			if err := h.Wait(time.Millisecond); err != nil {
				t.Fatal(err)
			}
			in, err := router.Recv(nil, 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range in {
				if m.Kind == link.Data {
					return string(m.Peer)
				}
			}
		}
		t.Fatal("nothing came")
		return ""
	}
	if a, b := first(7), first(7); a != b {
		t.Errorf("ids %x and %x of one seed", a, b)
	}
	if a, b := first(7), first(8); a == b {
		t.Errorf("id %x of two seeds", a)
	}
}

// newFerryTo is a Dealer without a routing id of its own that is connected to
// router.
func newFerryTo(t *testing.T, h *host, router link.Link) link.Link {
	t.Helper()
	other := insideHost(t)
	dealer, err := other.Open(link.Options{Role: link.Dealer, Endpoints: []string{router.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); dealer.Send(nil, []byte("hello")) != nil; {
		if err := errors.Join(h.Wait(time.Millisecond), other.Wait(time.Millisecond)); err != nil || time.Now().After(end) {
			t.Fatalf("it does not connect: %v", err)
		}
	}
	return dealer
}

// A ferry sends large frames from one host to another.
type ferry struct {
	t            *testing.T
	from, to     *host
	router, dock link.Link
}

func newFerry(t *testing.T) *ferry { return newFerryOf(t, 0) }

func newFerryOf(t *testing.T, sendMax int) *ferry {
	t.Helper()
	f := &ferry{t: t, from: insideHost(t), to: insideHost(t)}
	var err error
	if f.router, err = f.from.Open(link.Options{Role: link.Router, Endpoints: []string{"tcp://127.0.0.1:0"}, Lend: true, SendMax: sendMax}); err != nil {
		t.Fatal(err)
	}
	if f.dock, err = f.to.Open(link.Options{Role: link.Dealer, Endpoints: []string{f.router.Addr()}, Identity: []byte("d")}); err != nil {
		t.Fatal(err)
	}
	f.until("the dealer is connected", func() bool { return f.dock.Send(nil, []byte("hello")) == nil })
	f.receive(f.router)
	return f
}

func (f *ferry) until(what string, done func() bool) {
	f.t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); {
		if err := errors.Join(f.from.Wait(time.Millisecond), f.to.Wait(time.Millisecond)); err != nil {
			f.t.Fatal(err)
		}
		if time.Now().After(end) {
			f.t.Fatalf("never: %s", what)
		}
	}
}

func (f *ferry) receive(l link.Link) (got link.Message) {
	f.t.Helper()
	f.until("a message", func() bool {
		list, err := l.Recv(nil, 1)
		if err != nil {
			f.t.Fatal(err)
		}
		if len(list) > 0 {
			got = list[0]
		}
		return len(list) > 0
	})
	return got
}

// A large frame that libzmq sends from where it is cannot be used again before
// it has been sent.
func TestLoans(t *testing.T) {
	f := newFerry(t)
	h, router := f.from, f.router
	const size = 8 << 20 // more than the buffers on the way
	frame := h.pool.Get(size)
	for i := range frame {
		frame[i] = byte(i)
	}
	sent := bytes.Clone(frame)
	router.Put([]byte("d"), frame, []byte("end"))
	router.Put([]byte("d"), frame)
	router.Flush(func(_ int, err error) { t.Error(err) })
	router.Put([]byte("nobody"), frame)
	failed := 0
	router.Flush(func(int, error) { failed++ })
	h.Recycle([][]byte{frame})
	if failed != 1 || h.pool.Bytes() != 0 || len(h.loans.lent) != 2 {
		t.Fatalf("%d failed, %d bytes in the pool, %d loans", failed, h.pool.Bytes(), len(h.loans.lent))
	}
	for range 2 {
		if got := f.receive(f.dock).Frames[0]; !bytes.Equal(got, sent) {
			t.Fatal("what came is not what was sent")
		}
	}
	f.until("the frame comes back", func() bool { return h.pool.Bytes() > 0 })
	if again := h.pool.Get(size); &again[0] != &frame[0] || len(h.loans.lent)+len(h.loans.out)+len(h.loans.back) != 0 {
		t.Fatal("another frame came back")
	}
	router.Put([]byte("d"), frame) // on its way when all ends
	router.Flush(nil)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if n := len(h.loans.lent); n != 0 {
		t.Fatalf("%d loans are left", n)
	}
}

// However much is on loan, a wait costs what has come back: it looks at nothing else.
func TestWaitsLookAtNoLoans(t *testing.T) {
	f := newFerryOf(t, 30_000)
	h, router := f.from, f.router
	wait := func(frames int) time.Duration {
		for range frames {
			router.Put([]byte("d"), make([]byte, 4096))
		}
		router.Flush(func(_ int, err error) { t.Error(err) })
		best := time.Hour
		for range 200 {
			began := time.Now()
			if err := h.Wait(0); err != nil {
				t.Fatal(err)
			}
			best = min(best, time.Since(began))
		}
		return best
	}
	few := wait(1)
	many := wait(20_000)
	if n := len(h.loans.lent); n < 10_000 {
		t.Fatalf("%d are on loan", n)
	}
	if many > 5*few+50*time.Microsecond {
		t.Errorf("a wait takes %v with few loans, %v with %d", few, many, len(h.loans.lent))
	}
}

// insideHost is a host that is closed when the test ends.
func insideHost(t *testing.T) *host {
	t.Helper()
	made, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := made.Close(); err != nil {
			t.Error(err)
		}
	})
	return made.(*host)
}

// abandon closes a host whose libzmq does not end: it has a frame on loan, and a socket
// that nobody has closed. The returned function closes it.
func abandon(t *testing.T) (end func() error) {
	t.Helper()
	made, err := New()
	if err != nil {
		t.Fatal(err)
	}
	f := &ferry{t: t, from: made.(*host), to: insideHost(t)}
	if f.router, err = f.from.Open(link.Options{Role: link.Router, Endpoints: []string{"tcp://127.0.0.1:0"}, Lend: true}); err != nil {
		t.Fatal(err)
	}
	if f.dock, err = f.to.Open(link.Options{Role: link.Dealer, Endpoints: []string{f.router.Addr()}, Identity: []byte("d")}); err != nil {
		t.Fatal(err)
	}
	f.until("the dealer is connected", func() bool { return f.dock.Send(nil, []byte("hello")) == nil })
	f.receive(f.router)
	extra, err := f.from.context.NewSocket(zmq4.PUSH)
	if err != nil {
		t.Fatal(err)
	}
	f.router.Put([]byte("d"), make([]byte, 8<<20)) // nobody reads it
	f.router.Flush(func(_ int, err error) { t.Error(err) })
	if err := f.from.Close(); err == nil {
		t.Error("Close: no error, though libzmq cannot have ended")
	}
	return extra.Close
}

// What is on loan to a libzmq that does not end is left to it, with an error: the
// next collection of garbage does not end the process.
func TestLoansOfAnUnendedLibzmq(t *testing.T) {
	end := abandon(t)
	collected := make(chan struct{})
	runtime.AddCleanup(new([64]byte), func(struct{}) { close(collected) }, struct{}{})
	for done := false; !done; {
		runtime.GC() // runs the finalizers of Pinners as well
		select {
		case <-collected:
			done = true
		case <-time.After(time.Millisecond):
		}
	}
	for range 3 {
		runtime.GC()
		runtime.Gosched()
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}
