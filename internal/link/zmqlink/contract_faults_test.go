package zmqlink_test

import (
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
)

func TestEndpointInUse(t *testing.T) {
	contract(t, func(t *testing.T, k kind) {
		router := open(t, k.free(t), link.Options{Role: link.Router})
		addr := router.link.Addr()
		_, err := newHost(t, addr).Open(link.Options{Role: link.Router, Endpoints: []string{addr}, Monitor: true})
		if err == nil || !strings.Contains(err.Error(), "bind "+addr) || !strings.Contains(err.Error(), "already") {
			t.Fatalf("binding a taken endpoint: %v", err)
		}
		// The one who holds it is none the worse for it.
		dealer := open(t, addr, link.Options{Role: link.Dealer})
		until(t, "a message goes out", func() bool { return dealer.trySend("", "x") == nil }, dealer, router)
		until(t, "it arrives", func() bool { return len(router.data()) == 1 }, router)
	})
}

func TestHandover(t *testing.T) {
	contract(t, func(t *testing.T, k kind) {
		router, first := pair(t, k, link.Options{Handover: true}, link.Options{Identity: []byte("same")})
		second := open(t, router.link.Addr(), link.Options{Role: link.Dealer, Identity: []byte("same"), Monitor: true})
		until(t, "the second is connected", func() bool { return second.count(link.Connected) == 1 }, second, router)
		second.send("", "from second")
		until(t, "it is heard", func() bool { return len(router.data()) == 1 }, router)
		expect(t, router.data()[0], `same["from second"]`)
		router.send("same", "to the newest")
		until(t, "the second gets it", func() bool { return len(second.data()) == 1 }, second)
		// The first stays connected, but its messages vanish.
		first.send("", "from first")
		second.send("", "from second again")
		until(t, "the second is heard again", func() bool { return len(router.data()) == 2 }, router, first)
		expect(t, router.data()[1], `same["from second again"]`)
		waits(t, router, 20*time.Millisecond, 0)
		if router.recv(10) != 0 || len(first.read) != 1 {
			t.Fatal("the first is still served, or saw its connection end")
		}
	})
}

func TestNoHandover(t *testing.T) {
	contract(t, func(t *testing.T, k kind) {
		router, first := pair(t, k, link.Options{}, link.Options{Identity: []byte("same")})
		second := open(t, router.link.Addr(), link.Options{Role: link.Dealer, Identity: []byte("same"), Monitor: true})
		until(t, "the second is connected", func() bool { return second.count(link.Connected) == 1 }, second, router)
		second.send("", "never heard")
		first.send("", "heard")
		router.send("same", "to the first")
		until(t, "the first is served", func() bool { return len(first.data()) == 1 && len(router.data()) == 1 }, first, router)
		expect(t, router.data()[0], `same["heard"]`)
		waits(t, second, 20*time.Millisecond, 0)
		waits(t, router, 20*time.Millisecond, 0)
		if second.recv(10); router.recv(10) != 0 || len(second.data()) != 0 {
			t.Fatal("the second peer of the same id was served")
		}
	})
}

func TestLargeFrameCutsTheSender(t *testing.T) {
	contract(t, func(t *testing.T, k kind) {
		router, dealer := pair(t, k, link.Options{FrameBytesMax: 1000}, link.Options{Identity: []byte("d")})
		dealer.send("", "ok", strings.Repeat("x", 1000))
		until(t, "a frame of just the limit arrives", func() bool { return len(router.data()) == 1 }, router)
		dealer.send("", "too large", strings.Repeat("x", 1001))
		until(t, "both report Disconnected", func() bool {
			return router.count(link.Disconnected) == 1 && dealer.count(link.Disconnected) == 1
		}, router, dealer)
		until(t, "both report Connected again", func() bool {
			return router.count(link.Connected) == 2 && dealer.count(link.Connected) == 2
		}, router, dealer)
		dealer.send("", "small")
		until(t, "the small one arrives", func() bool { return len(router.data()) == 2 }, router)
		expect(t, router.data()[1], `d["small"]`)
	})
}

// The connecting side does not forgive: only a new link connects again.
func TestLargeFrameToADealerEndsIt(t *testing.T) {
	contract(t, func(t *testing.T, k kind) {
		router, dealer := pair(t, k, link.Options{}, link.Options{FrameBytesMax: 1000})
		dealer.send("", "x")
		until(t, "the request arrives", func() bool { return len(router.data()) == 1 }, router)
		router.send(string(router.data()[0].Peer), strings.Repeat("x", 1001))
		until(t, "both report Disconnected", func() bool {
			return router.count(link.Disconnected) == 1 && dealer.count(link.Disconnected) == 1
		}, router, dealer)
		for range 10 { // several times its ReconnectMin
			waits(t, dealer, 10*time.Millisecond, 0)
			dealer.recv(10)
		}
		if dealer.count(link.Connected) != 1 || len(dealer.data()) != 0 {
			t.Fatalf("the dealer read %v", dealer.read)
		}
		expectError(t, dealer.trySend("", "y"), link.ErrUnreachable)
	})
}

func TestLinger(t *testing.T) {
	contract(t, func(t *testing.T, k kind) {
		router, dealer := pair(t, k, link.Options{}, link.Options{Linger: 10 * time.Second})
		for range 100 {
			dealer.send("", strings.Repeat("x", 1000))
		}
		if err := dealer.host.Close(); err != nil {
			t.Fatal(err)
		}
		until(t, "all arrive", func() bool { return len(router.data()) == 100 }, router)
	})
}

func TestClosed(t *testing.T) {
	contract(t, func(t *testing.T, k kind) {
		e := open(t, k.free(t), link.Options{Role: link.Router, Monitor: true})
		addr := e.link.Addr()
		for range 2 { // closing twice is no error
			if err := e.host.Close(); err != nil {
				t.Fatal(err)
			}
			if err := e.link.Close(); err != nil {
				t.Fatal(err)
			}
		}
		expectError(t, e.trySend("p", "x"), link.ErrClosed)
		_, err := e.link.Recv(nil, 1)
		expectError(t, err, link.ErrClosed)
		expectError(t, e.host.Wait(time.Hour), link.ErrClosed)
		_, err = e.host.Open(link.Options{Role: link.Router, Endpoints: []string{addr}})
		expectError(t, err, link.ErrClosed)
		if e.link.Addr() != addr {
			t.Fatal("Addr changed")
		}
		open(t, addr, link.Options{Role: link.Router}) // the endpoint is free again
	})
}

func TestNoFrames(t *testing.T) {
	contract(t, func(t *testing.T, k kind) {
		router, dealer := pair(t, k, link.Options{}, link.Options{Identity: []byte("d")})
		expectError(t, dealer.link.Send(nil), link.ErrNoFrames)
		expectError(t, router.link.Send([]byte("d")), link.ErrNoFrames)
	})
}

func TestBadOptions(t *testing.T) {
	contract(t, func(t *testing.T, k kind) {
		at := k.free(t)
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
			_, err := newHost(t, at).Open(o)
			if k.name == "memory" && want == "it must" {
				want = "mem://"
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want one with %q", err, want)
			}
		}
	})
}
