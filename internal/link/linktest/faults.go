package linktest

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
)

// TestEndpointInUse checks: a taken endpoint is an error that says so, and its holder is none the worse.
func TestEndpointInUse(t *testing.T, k Kind) {
	router := Open(t, k, k.Free(t), link.Options{Role: link.Router})
	addr := router.Link.Addr()
	_, err := NewHost(t, k, link.Router).Open(link.Options{Role: link.Router, Endpoints: []string{addr}, Monitor: true})
	if err == nil || !strings.Contains(err.Error(), "bind "+addr) || !strings.Contains(err.Error(), "already") {
		t.Fatalf("binding a taken endpoint: %v", err)
	}
	// The one who holds it is none the worse for it.
	dealer := Open(t, k, addr, link.Options{Role: link.Dealer})
	Until(t, "a message goes out", func() bool { return dealer.TrySend("", "x") == nil }, dealer, router)
	Until(t, "it arrives", func() bool { return len(router.Data()) == 1 }, router)
}

// TestHandover checks: the newest connection with a routing id takes over.
func TestHandover(t *testing.T, k Kind) {
	router, first := Pair(t, k, link.Options{Handover: true}, link.Options{Identity: []byte("same")})
	second := Open(t, k, router.Link.Addr(), link.Options{Role: link.Dealer, Identity: []byte("same"), Monitor: true})
	Until(t, "the second is connected", func() bool { return second.Count(link.Connected) == 1 }, second, router)
	second.Send("", "from second")
	Until(t, "it is heard", func() bool { return len(router.Data()) == 1 }, router)
	Expect(t, router.Data()[0], `same["from second"]`)
	router.Send("same", "to the newest")
	Until(t, "the second gets it", func() bool { return len(second.Data()) == 1 }, second)
	// The first stays connected, but its messages vanish.
	first.Send("", "from first")
	second.Send("", "from second again")
	Until(t, "the second is heard again", func() bool { return len(router.Data()) == 2 }, router, first)
	Expect(t, router.Data()[1], `same["from second again"]`)
	Waits(t, router, 20*time.Millisecond, 0)
	if router.Recv(10) != 0 || len(first.Read) != 1 {
		t.Fatal("the first is still served, or saw its connection end")
	}
}

// TestNoHandover checks: the oldest connection with a routing id stays the one that is served.
func TestNoHandover(t *testing.T, k Kind) {
	router, first := Pair(t, k, link.Options{}, link.Options{Identity: []byte("same")})
	second := Open(t, k, router.Link.Addr(), link.Options{Role: link.Dealer, Identity: []byte("same"), Monitor: true})
	Until(t, "the second is connected, or cut off", func() bool {
		o, ok := router.Link.(link.Observed)
		return second.Count(link.Connected) >= 1 || ok && o.Stats().TakenIDs > 0
	}, second, router)
	_ = second.TrySend("", "never heard") // over zmtp there is nobody to send it to
	first.Send("", "heard")
	router.Send("same", "to the first")
	Until(t, "the first is served", func() bool { return len(first.Data()) == 1 && len(router.Data()) == 1 }, first, router)
	Expect(t, router.Data()[0], `same["heard"]`)
	Waits(t, second, 20*time.Millisecond, 0)
	Waits(t, router, 20*time.Millisecond, 0)
	if second.Recv(10); router.Recv(10) != 0 || len(second.Data()) != 0 {
		t.Fatal("the second peer of the same id was served")
	}
}

// TestLargeFrameCutsTheSender checks: a peer that sends too large a frame is cut off, and may come back.
func TestLargeFrameCutsTheSender(t *testing.T, k Kind) {
	router, dealer := Pair(t, k, link.Options{FrameBytesMax: 1000}, link.Options{Identity: []byte("d")})
	dealer.Send("", "ok", strings.Repeat("x", 1000))
	Until(t, "a frame of just the limit arrives", func() bool { return len(router.Data()) == 1 }, router)
	dealer.Send("", "too large", strings.Repeat("x", 1001))
	Until(t, "both report Disconnected", func() bool {
		return router.Count(link.Disconnected) == 1 && dealer.Count(link.Disconnected) == 1
	}, router, dealer)
	Until(t, "both report Connected again", func() bool {
		return router.Count(link.Connected) == 2 && dealer.Count(link.Connected) == 2
	}, router, dealer)
	dealer.Send("", "small")
	Until(t, "the small one arrives", func() bool { return len(router.Data()) == 2 }, router)
	Expect(t, router.Data()[1], `d["small"]`)
}

// TestLargeFrameToADealerEndsIt checks: the connecting side does not forgive: only a new link connects again.
func TestLargeFrameToADealerEndsIt(t *testing.T, k Kind) {
	router, dealer := Pair(t, k, link.Options{}, link.Options{FrameBytesMax: 1000})
	dealer.Send("", "x")
	Until(t, "the request arrives", func() bool { return len(router.Data()) == 1 }, router)
	router.Send(string(router.Data()[0].Peer), strings.Repeat("x", 1001))
	Until(t, "both report Disconnected", func() bool {
		return router.Count(link.Disconnected) == 1 && dealer.Count(link.Disconnected) == 1
	}, router, dealer)
	for range 10 { // several times its ReconnectMin
		Waits(t, dealer, 10*time.Millisecond, 0)
		dealer.Recv(10)
	}
	if dealer.Count(link.Connected) != 1 || len(dealer.Data()) != 0 {
		t.Fatalf("the dealer read %v", dealer.Read)
	}
	ExpectError(t, dealer.TrySend("", "y"), link.ErrUnreachable)
}

// TestLinger checks: what was sent before Close goes out.
func TestLinger(t *testing.T, k Kind) {
	router, dealer := Pair(t, k, link.Options{}, link.Options{Linger: 10 * time.Second})
	for range 100 {
		dealer.Send("", strings.Repeat("x", 1000))
	}
	closed := make(chan error, 1)
	go func() { closed <- dealer.Host.Close() }()
	Until(t, "all arrive", func() bool { return len(router.Data()) == 100 }, router)
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
}

// TestClosed checks: everything fails with ErrClosed, and the endpoint is free again.
func TestClosed(t *testing.T, k Kind) {
	e := Open(t, k, k.Free(t), link.Options{Role: link.Router, Monitor: true})
	addr := e.Link.Addr()
	for range 2 { // closing twice is no error
		if err := e.Host.Close(); err != nil {
			t.Fatal(err)
		}
		if err := e.Link.Close(); err != nil {
			t.Fatal(err)
		}
	}
	ExpectError(t, e.TrySend("p", "x"), link.ErrClosed)
	_, err := e.Link.Recv(nil, 1)
	ExpectError(t, err, link.ErrClosed)
	ExpectError(t, e.Host.Wait(time.Hour), link.ErrClosed)
	_, err = e.Host.Open(link.Options{Role: link.Router, Endpoints: []string{addr}})
	ExpectError(t, err, link.ErrClosed)
	if e.Link.Addr() != addr {
		t.Fatal("Addr changed")
	}
	Open(t, k, addr, link.Options{Role: link.Router}) // the endpoint is free again
}

// TestNoFrames checks: a message of no frames is an error.
func TestNoFrames(t *testing.T, k Kind) {
	router, dealer := Pair(t, k, link.Options{}, link.Options{Identity: []byte("d")})
	ExpectError(t, dealer.Link.Send(nil), link.ErrNoFrames)
	ExpectError(t, router.Link.Send([]byte("d")), link.ErrNoFrames)
}

// TestBadOptions checks: an error names the option that is out of bounds.
func TestBadOptions(t *testing.T, k Kind) {
	at := k.Free(t)
	for want, o := range map[string]link.Options{
		"Endpoints is empty":     {Role: link.Router},
		"connects to one":        {Role: link.Dealer, Endpoints: []string{at, at}},
		"unknown Role 9":         {Role: 9, Endpoints: []string{at}},
		"Identity must be empty": {Role: link.Router, Endpoints: []string{at}, Identity: []byte("x")},
		"at most 255":            {Role: link.Dealer, Endpoints: []string{at}, Identity: make([]byte, 256)},
		"SendMax":                {Role: link.Dealer, Endpoints: []string{at}, SendMax: -1},
		"ReconnectMin":           {Role: link.Dealer, Endpoints: []string{at}, ReconnectMin: -1},
		"it must":                {Role: link.Dealer, Endpoints: []string{"udp://x:1"}},
		"must not be negative":   {Role: link.Router, Endpoints: []string{at}, Linger: -1},
	} {
		_, err := NewHost(t, k, link.Router).Open(o)
		if k.Memory && want == "it must" {
			want = "mem://"
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// IPCMode checks: the file of an ipc:// endpoint has the mode that was asked for,
// whatever the umask, and its peers are served.
func IPCMode(t *testing.T, k Kind) {
	for _, mode := range []os.FileMode{0o600, 0o666} {
		router := Open(t, k, k.Free(t), link.Options{Role: link.Router, IPCMode: mode})
		info, err := os.Stat(strings.TrimPrefix(router.Link.Addr(), "ipc://"))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != mode {
			t.Errorf("mode %v, want %v", got, mode)
		}
		dealer := Open(t, k, router.Link.Addr(), link.Options{Role: link.Dealer})
		Until(t, "it can send", func() bool { return dealer.TrySend("", "x") == nil }, dealer, router)
		Until(t, "it arrives", func() bool { return len(router.Data()) == 1 }, router, dealer)
	}
	h := NewHost(t, k, link.Router)
	if _, err := h.Open(link.Options{Role: link.Router, Endpoints: []string{k.Free(t)}, IPCMode: os.ModeSetuid | 0o600}); err == nil || !strings.Contains(err.Error(), "IPCMode") {
		t.Errorf("setuid: %v", err)
	}
}
