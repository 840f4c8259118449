package zmqlink_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/zmqlink"
)

func TestRequestReply(t *testing.T) {
	contract(t, func(t *testing.T, k kind) {
		router, dealer := pair(t, k, link.Options{}, link.Options{Identity: []byte("peer-1")})
		frames := [][]byte{[]byte("one"), {}, []byte("three")}
		if err := dealer.link.Send(nil, frames...); err != nil {
			t.Fatal(err)
		}
		copy(frames[0], "XXX") // Send has copied what it keeps
		until(t, "the request arrives", func() bool { return len(router.data()) == 1 }, router)
		expect(t, router.data()[0], `peer-1["one" "" "three"]`)

		router.send("peer-1", "reply", "")
		until(t, "the reply arrives", func() bool { return len(dealer.data()) == 1 }, dealer)
		expect(t, dealer.data()[0], `["reply" ""]`)
		if dealer.data()[0].Peer != nil {
			t.Fatal("a dealer's message names a peer")
		}
	})
}

func TestOrderIsKept(t *testing.T) {
	contract(t, func(t *testing.T, k kind) {
		router, dealer := pair(t, k, link.Options{}, link.Options{})
		for i := range 500 {
			dealer.send("", strings.Repeat("x", i))
		}
		until(t, "all arrive", func() bool { return len(router.data()) == 500 }, router)
		for i, m := range router.data() {
			if len(m.Frames[0]) != i {
				t.Fatalf("message %d has %d bytes", i, len(m.Frames[0]))
			}
		}
	})
}

func TestGeneratedIdentity(t *testing.T) {
	contract(t, func(t *testing.T, k kind) {
		router, dealer := pair(t, k, link.Options{}, link.Options{})
		dealer.send("", "who am I")
		until(t, "the request arrives", func() bool { return len(router.data()) == 1 }, router)
		peer := router.data()[0].Peer
		if len(peer) != 5 || peer[0] != 0 {
			t.Fatalf("generated routing id %x: want 5 bytes, the first zero", peer)
		}
		router.send(string(peer), "you")
		until(t, "the reply arrives", func() bool { return len(dealer.data()) == 1 }, dealer)
	})
}

func TestReqIsStrict(t *testing.T) {
	contract(t, func(t *testing.T, k kind) {
		router, req := pair(t, k, link.Options{}, link.Options{Role: link.Req, Identity: []byte("r")})
		if req.recv(10) != 0 {
			t.Fatal("a Req link that asked nothing has something to read")
		}
		for i := range 3 {
			req.send("", "question", "two")
			expectError(t, req.trySend("", "again"), link.ErrAwaitingReply)
			until(t, "the request arrives", func() bool { return len(router.data()) == i+1 }, router)
			expect(t, router.data()[i], `r["" "question" "two"]`)
			router.send("r", "", "answer")
			router.send("r", "", "second answer, to be discarded")
			until(t, "the reply arrives", func() bool { return len(req.data()) == i+1 }, req)
			expect(t, req.data()[i], `["answer"]`)
			// The discarded one may arrive after the next question, whose
			// answer it would be taken for: let it come first.
			router.send("r", "", "third answer")
			if err := req.host.Wait(20 * time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestUnreachable(t *testing.T) {
	contract(t, func(t *testing.T, k kind) {
		router, dealer := pair(t, k, link.Options{}, link.Options{Identity: []byte("d")})
		expectError(t, router.trySend("nobody", "x"), link.ErrUnreachable)
		router.send("d", "x", "after an unreachable peer")
		until(t, "it arrives", func() bool { return len(dealer.data()) == 1 }, dealer)
		expect(t, dealer.data()[0], `["x" "after an unreachable peer"]`)

		if err := dealer.link.Close(); err != nil {
			t.Fatal(err)
		}
		until(t, "the router sees it go", func() bool { return router.count(link.Disconnected) == 1 }, router)
		// ZeroMQ may still take one for a moment after it said so.
		until(t, "it cannot be sent to", func() bool { return errors.Is(router.trySend("d", "x"), link.ErrUnreachable) }, router)
	})
}

func TestNotConnected(t *testing.T) {
	contract(t, func(t *testing.T, k kind) {
		router, dealer := pair(t, k, link.Options{}, link.Options{})
		if err := router.link.Close(); err != nil {
			t.Fatal(err)
		}
		until(t, "the connection's end is seen", func() bool { return dealer.count(link.Disconnected) == 1 }, dealer)
		until(t, "nothing can be sent", func() bool { return errors.Is(dealer.trySend("", "x", "y"), link.ErrUnreachable) }, dealer)

		req := open(t, router.link.Addr(), link.Options{Role: link.Req, Monitor: true})
		for range 2 { // and no request counts as sent
			expectError(t, req.trySend("", "x", "y"), link.ErrUnreachable)
		}
	})
}

func TestFull(t *testing.T) {
	contract(t, func(t *testing.T, k kind) {
		router, dealer := pair(t, k, link.Options{SendMax: 3}, link.Options{RecvMax: 4, Identity: []byte("slow")})
		body := strings.Repeat("x", 1<<16)
		sent := 0
		var err error
		for err == nil && sent < 5000 { // libzmq's bounds come on top of the kernel's buffers
			if err = router.trySend("slow", body, "tail"); err == nil {
				sent++
			}
		}
		expectError(t, err, link.ErrFull)
		if k.name == "memory" && sent != 3+4 {
			t.Fatalf("%d messages fitted into SendMax 3 and RecvMax 4", sent)
		}
		until(t, "what fitted arrives", func() bool { return len(dealer.data()) >= sent }, dealer)
		until(t, "there is room again", func() bool { return router.trySend("slow", "there is room again") == nil }, router)
		until(t, "it arrives", func() bool { return len(dealer.data()) == sent+1 }, dealer)
		expect(t, dealer.data()[sent], `["there is room again"]`)
	})
}

func TestReconnect(t *testing.T) {
	contract(t, func(t *testing.T, k kind) {
		router, dealer := pair(t, k, link.Options{}, link.Options{Identity: []byte("d")})
		addr := router.link.Addr()
		if err := router.host.Close(); err != nil {
			t.Fatal(err)
		}
		until(t, "the dealer reports Disconnected", func() bool { return dealer.count(link.Disconnected) == 1 }, dealer)

		again := open(t, addr, link.Options{Role: link.Router, Monitor: true})
		until(t, "both report Connected", func() bool {
			return dealer.count(link.Connected) == 2 && again.count(link.Connected) == 1
		}, dealer, again)
		dealer.send("", "back")
		until(t, "the request arrives", func() bool { return len(again.data()) == 1 }, again)
		expect(t, again.data()[0], `d["back"]`)
		again.send("d", "welcome")
		until(t, "the reply arrives", func() bool { return len(dealer.data()) == 1 }, dealer)
	})
}

func TestConnectBeforeBind(t *testing.T) {
	contract(t, func(t *testing.T, k kind) {
		first := open(t, k.free(t), link.Options{Role: link.Router})
		addr := first.link.Addr()
		if err := first.host.Close(); err != nil {
			t.Fatal(err)
		}
		dealer := open(t, addr, link.Options{Role: link.Dealer, Monitor: true, Identity: []byte("early")})
		if err := dealer.host.Wait(30 * time.Millisecond); err != nil {
			t.Fatal(err)
		}
		router := open(t, addr, link.Options{Role: link.Router})
		until(t, "they connect", func() bool { return dealer.count(link.Connected) == 1 }, dealer, router)
		dealer.send("", "hello")
		until(t, "it arrives", func() bool { return len(router.data()) == 1 }, router)
	})
}

func TestMonitorIsOptional(t *testing.T) {
	contract(t, func(t *testing.T, k kind) {
		router := open(t, k.free(t), link.Options{Role: link.Router})
		dealer := open(t, router.link.Addr(), link.Options{Role: link.Dealer})
		until(t, "a message goes out", func() bool { return dealer.trySend("", "x") == nil }, dealer, router)
		until(t, "it arrives", func() bool { return len(router.data()) == 1 }, router)
		if len(router.read) != 1 || len(dealer.read) != 0 {
			t.Fatalf("events without Monitor: %v %v", router.read, dealer.read)
		}
	})
}

func TestWakeEndsWait(t *testing.T) {
	contract(t, func(t *testing.T, k kind) {
		e := open(t, k.free(t), link.Options{Role: link.Router})
		e.host.Wake()
		e.host.Wake() // any number counts as one
		waits(t, e, long, 0)
		waits(t, e, 30*time.Millisecond, 30*time.Millisecond)
		for range 50 {
			go e.host.Wake()
			waits(t, e, long, 0)
		}
	})
}

// waits checks that Wait(d) takes at least the given time, and not for ever.
func waits(t *testing.T, e *end, d, least time.Duration) {
	t.Helper()
	start := time.Now()
	if err := e.host.Wait(d); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < least || took > patience {
		t.Fatalf("Wait(%v) took %v", d, took)
	}
}

func TestWakeIsSafeAtAnyTime(t *testing.T) {
	contract(t, func(t *testing.T, k kind) {
		e := open(t, k.free(t), link.Options{Role: link.Router})
		var wakers sync.WaitGroup
		for range 4 {
			wakers.Go(func() {
				for range 500 {
					e.host.Wake()
				}
			})
		}
		for range 20 {
			waits(t, e, 0, 0)
		}
		if err := e.host.Close(); err != nil {
			t.Fatal(err)
		}
		wakers.Wait()
		e.host.Wake()
	})
}

func TestWaitDoesNotBlockForNothing(t *testing.T) {
	contract(t, func(t *testing.T, k kind) {
		e := open(t, k.free(t), link.Options{Role: link.Router})
		for _, d := range []time.Duration{0, -1, -time.Hour} {
			waits(t, e, d, 0)
		}
		// Not shorter than asked for either, or loops spin before a deadline.
		for _, d := range []time.Duration{time.Nanosecond, 900 * time.Microsecond, 120 * time.Millisecond} {
			waits(t, e, d, d)
		}
	})
}

func TestRecvLimit(t *testing.T) {
	contract(t, func(t *testing.T, k kind) {
		router, dealer := pair(t, k, link.Options{}, link.Options{})
		for range 5 {
			dealer.send("", "x")
		}
		until(t, "the first arrives", func() bool { waits(t, router, time.Millisecond, 0); return router.recv(1) == 1 })
		for left := 4; left > 0; left-- {
			waits(t, router, long, 0) // returns although the link was read before
			if router.recv(1) != 1 {
				left++ // not here yet
			}
		}
		if n := router.recv(10); n != 0 {
			t.Fatalf("%d messages too many", n)
		}
		waits(t, router, 50*time.Millisecond, 50*time.Millisecond) // found empty: waits again
	})
}

// Events that did not fit under the limit are waited for no more than messages.
func TestRecvLimitHoldsForEvents(t *testing.T) {
	contract(t, func(t *testing.T, k kind) {
		router := open(t, k.free(t), link.Options{Role: link.Router, Monitor: true})
		for range 3 {
			dealer := open(t, router.link.Addr(), link.Options{Role: link.Dealer, Monitor: true})
			until(t, "a dealer connects", func() bool { return dealer.count(link.Connected) == 1 }, dealer)
		}
		for len(router.read) < 3 {
			waits(t, router, long, 0)
			if router.recv(1) > 1 {
				t.Fatal("more than the limit")
			}
		}
		waits(t, router, 20*time.Millisecond, 0)
		if router.recv(1) != 0 || router.count(link.Connected) != 3 {
			t.Fatalf("events %v", router.read)
		}
	})
}

// A Send that finds the connection gone has read the event that says so.
func TestEventFoundBySendIsNotLost(t *testing.T) {
	contract(t, func(t *testing.T, k kind) {
		router, dealer := pair(t, k, link.Options{}, link.Options{})
		if err := router.link.Close(); err != nil {
			t.Fatal(err)
		}
		give := time.Now().Add(patience)
		for !errors.Is(dealer.trySend("", "x"), link.ErrUnreachable) {
			if time.Now().After(give) {
				t.Fatal("the dealer can still send")
			}
		}
		waits(t, dealer, long, 0)
		if dealer.recv(10); dealer.count(link.Disconnected) != 1 {
			t.Fatalf("read %v, want Disconnected", dealer.read)
		}
	})
}

func TestTwoLinksOfOneHost(t *testing.T) {
	contract(t, func(t *testing.T, k kind) {
		front := open(t, k.free(t), link.Options{Role: link.Router})
		l, err := front.host.Open(link.Options{Role: link.Router, Endpoints: []string{k.free(t)}})
		if err != nil {
			t.Fatal(err)
		}
		back := &end{t: t, host: front.host, link: l}
		a := open(t, front.link.Addr(), link.Options{Role: link.Dealer})
		b := open(t, back.link.Addr(), link.Options{Role: link.Dealer})
		until(t, "a sends", func() bool { return a.trySend("", "to front") == nil }, a)
		until(t, "b sends", func() bool { return b.trySend("", "to back") == nil }, b)
		until(t, "both arrive", func() bool { return len(front.data()) == 1 && len(back.data()) == 1 }, front, back)

		// A link that is gone is no longer waited for; the other still is.
		if err := back.link.Close(); err != nil {
			t.Fatal(err)
		}
		a.send("", "again")
		until(t, "it arrives", func() bool { return len(front.data()) == 2 }, front)
	})
}

func TestSeveralEndpoints(t *testing.T) {
	contract(t, func(t *testing.T, k kind) {
		first, second := k.free(t), k.free(t)
		if strings.HasPrefix(first, "tcp:") {
			first = freePort(t)
		}
		h := newHost(t, first)
		l, err := h.Open(link.Options{Role: link.Router, Endpoints: []string{first, second}})
		if err != nil {
			t.Fatal(err)
		}
		router := &end{t: t, host: h, link: l}
		for i, endpoint := range []string{first, l.Addr()} {
			dealer := open(t, endpoint, link.Options{Role: link.Dealer})
			until(t, "a message goes out", func() bool { return dealer.trySend("", "x") == nil }, dealer, router)
			until(t, "it arrives", func() bool { return len(router.data()) == i+1 }, router)
		}
	})
}

// freePort names an endpoint that was free a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	e := open(t, "tcp://127.0.0.1:0", link.Options{Role: link.Router})
	if err := e.host.Close(); err != nil {
		t.Fatal(err)
	}
	return e.link.Addr()
}

func TestAddr(t *testing.T) {
	contract(t, func(t *testing.T, k kind) {
		router := open(t, k.free(t), link.Options{Role: link.Router})
		addr := router.link.Addr()
		if strings.HasSuffix(addr, ":0") || strings.HasSuffix(addr, "*") {
			t.Fatalf("Addr %s is not an address to connect to", addr)
		}
		dealer := open(t, addr, link.Options{Role: link.Dealer})
		if dealer.link.Addr() != addr {
			t.Fatalf("dealer's Addr %s, want %s", dealer.link.Addr(), addr)
		}
	})
}

func TestVersion(t *testing.T) {
	if v := zmqlink.Version(); !strings.HasPrefix(v, "4.") || strings.Count(v, ".") != 2 {
		t.Fatalf("version %q", v)
	}
}
