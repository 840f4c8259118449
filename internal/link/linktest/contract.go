package linktest

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
)

// TestRequestReply checks: a request of several frames and its reply arrive as they are.
func TestRequestReply(t *testing.T, k Kind) {
	router, dealer := Pair(t, k, link.Options{}, link.Options{Identity: []byte("peer-1")})
	frames := [][]byte{[]byte("one"), {}, []byte("three")}
	if err := dealer.Link.Send(nil, frames...); err != nil {
		t.Fatal(err)
	}
	copy(frames[0], "XXX") // Send has copied what it keeps
	Until(t, "the request arrives", func() bool { return len(router.Data()) == 1 }, router)
	Expect(t, router.Data()[0], `peer-1["one" "" "three"]`)

	router.Send("peer-1", "reply", "")
	Until(t, "the reply arrives", func() bool { return len(dealer.Data()) == 1 }, dealer)
	Expect(t, dealer.Data()[0], `["reply" ""]`)
	if dealer.Data()[0].Peer != nil {
		t.Fatal("a dealer's message names a peer")
	}
}

// TestOrderIsKept checks: messages of one peer arrive in the order in which they were sent.
func TestOrderIsKept(t *testing.T, k Kind) {
	router, dealer := Pair(t, k, link.Options{}, link.Options{})
	for i := range 500 {
		dealer.Send("", strings.Repeat("x", i))
	}
	Until(t, "all arrive", func() bool { return len(router.Data()) == 500 }, router)
	for i, m := range router.Data() {
		if len(m.Frames[0]) != i {
			t.Fatalf("message %d has %d bytes", i, len(m.Frames[0]))
		}
	}
}

// TestGeneratedIdentity checks: a peer that brings no routing id gets one, and can be answered.
func TestGeneratedIdentity(t *testing.T, k Kind) {
	router, dealer := Pair(t, k, link.Options{}, link.Options{})
	dealer.Send("", "who am I")
	Until(t, "the request arrives", func() bool { return len(router.Data()) == 1 }, router)
	peer := router.Data()[0].Peer
	if len(peer) != 5 || peer[0] != 0 {
		t.Fatalf("generated routing id %x: want 5 bytes, the first zero", peer)
	}
	router.Send(string(peer), "you")
	Until(t, "the reply arrives", func() bool { return len(dealer.Data()) == 1 }, dealer)
}

// TestReqIsStrict checks: one request, then one reply; what is no reply to it is discarded.
func TestReqIsStrict(t *testing.T, k Kind) {
	router, req := Pair(t, k, link.Options{}, link.Options{Role: link.Req, Identity: []byte("r")})
	if req.Recv(10) != 0 {
		t.Fatal("a Req link that asked nothing has something to read")
	}
	for i := range 3 {
		req.Send("", "question", "two")
		ExpectError(t, req.TrySend("", "again"), link.ErrAwaitingReply)
		Until(t, "the request arrives", func() bool { return len(router.Data()) == i+1 }, router)
		Expect(t, router.Data()[i], `r["" "question" "two"]`)
		router.Send("r", "", "answer")
		router.Send("r", "", "second answer, to be discarded")
		Until(t, "the reply arrives", func() bool { return len(req.Data()) == i+1 }, req)
		Expect(t, req.Data()[i], `["answer"]`)
		// The discarded one may arrive after the next question, whose
		// answer it would be taken for: let it come first.
		router.Send("r", "", "third answer")
		for end := time.Now().Add(20 * time.Millisecond); time.Now().Before(end); {
			if err := req.Host.Wait(time.Until(end)); err != nil {
				t.Fatal(err)
			}
			if req.Recv(10) != 0 {
				t.Fatal("a Req link reads what it has not asked for")
			}
		}
	}
}

// TestUnreachable checks: a message to nobody, or to somebody who has gone, is an error.
func TestUnreachable(t *testing.T, k Kind) {
	router, dealer := Pair(t, k, link.Options{}, link.Options{Identity: []byte("d")})
	ExpectError(t, router.TrySend("nobody", "x"), link.ErrUnreachable)
	router.Send("d", "x", "after an unreachable peer")
	Until(t, "it arrives", func() bool { return len(dealer.Data()) == 1 }, dealer)
	Expect(t, dealer.Data()[0], `["x" "after an unreachable peer"]`)

	if err := dealer.Link.Close(); err != nil {
		t.Fatal(err)
	}
	Until(t, "the router sees it go", func() bool { return router.Count(link.Disconnected) == 1 }, router)
	// ZeroMQ may still take one for a moment after it said so.
	Until(t, "it cannot be sent to", func() bool { return errors.Is(router.TrySend("d", "x"), link.ErrUnreachable) }, router)
}

// TestNotConnected checks: a message without a connection is an error, and no request.
func TestNotConnected(t *testing.T, k Kind) {
	router, dealer := Pair(t, k, link.Options{}, link.Options{})
	if err := router.Link.Close(); err != nil {
		t.Fatal(err)
	}
	Until(t, "the connection's end is seen", func() bool { return dealer.Count(link.Disconnected) == 1 }, dealer)
	Until(t, "nothing can be sent", func() bool { return errors.Is(dealer.TrySend("", "x", "y"), link.ErrUnreachable) }, dealer)

	req := Open(t, k, router.Link.Addr(), link.Options{Role: link.Req, Monitor: true})
	for range 2 { // and no request counts as sent
		ExpectError(t, req.TrySend("", "x", "y"), link.ErrUnreachable)
	}
}

// TestFull checks: a peer that does not read is full some time, and loses nothing of what fitted.
func TestFull(t *testing.T, k Kind) {
	router, dealer := Pair(t, k, link.Options{SendMax: 3}, link.Options{RecvMax: 4, Identity: []byte("slow")})
	body := strings.Repeat("x", 1<<16)
	sent := 0
	var err error
	for err == nil && sent < 5000 { // libzmq's bounds come on top of the kernel's buffers
		if err = router.TrySend("slow", body, "tail"); err == nil {
			sent++
		}
	}
	ExpectError(t, err, link.ErrFull)
	if k.Memory && sent != 3+4 {
		t.Fatalf("%d messages fitted into SendMax 3 and RecvMax 4", sent)
	}
	Until(t, "what fitted arrives", func() bool { return len(dealer.Data()) >= sent }, dealer, router)
	Until(t, "there is room again", func() bool { return router.TrySend("slow", "there is room again") == nil }, router)
	Until(t, "it arrives", func() bool { return len(dealer.Data()) == sent+1 }, dealer, router)
	Expect(t, dealer.Data()[sent], `["there is room again"]`)
}

// TestReconnect checks: a link connects again by itself, and both sides are told.
func TestReconnect(t *testing.T, k Kind) {
	router, dealer := Pair(t, k, link.Options{}, link.Options{Identity: []byte("d")})
	addr := router.Link.Addr()
	if err := router.Host.Close(); err != nil {
		t.Fatal(err)
	}
	Until(t, "the dealer reports Disconnected", func() bool { return dealer.Count(link.Disconnected) == 1 }, dealer)

	again := Open(t, k, addr, link.Options{Role: link.Router, Monitor: true})
	Until(t, "both report Connected", func() bool {
		return dealer.Count(link.Connected) == 2 && again.Count(link.Connected) == 1
	}, dealer, again)
	dealer.Send("", "back")
	Until(t, "the request arrives", func() bool { return len(again.Data()) == 1 }, again)
	Expect(t, again.Data()[0], `d["back"]`)
	again.Send("d", "welcome")
	Until(t, "the reply arrives", func() bool { return len(dealer.Data()) == 1 }, dealer)
}

// TestConnectBeforeBind checks: a link may be opened before there is anybody.
func TestConnectBeforeBind(t *testing.T, k Kind) {
	first := Open(t, k, k.Free(t), link.Options{Role: link.Router})
	addr := first.Link.Addr()
	if err := first.Host.Close(); err != nil {
		t.Fatal(err)
	}
	dealer := Open(t, k, addr, link.Options{Role: link.Dealer, Monitor: true, Identity: []byte("early")})
	if err := dealer.Host.Wait(30 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	router := Open(t, k, addr, link.Options{Role: link.Router})
	Until(t, "they connect", func() bool { return dealer.Count(link.Connected) == 1 }, dealer, router)
	dealer.Send("", "hello")
	Until(t, "it arrives", func() bool { return len(router.Data()) == 1 }, router)
}

// TestMonitorIsOptional checks: who has not asked for events gets none.
func TestMonitorIsOptional(t *testing.T, k Kind) {
	router := Open(t, k, k.Free(t), link.Options{Role: link.Router})
	dealer := Open(t, k, router.Link.Addr(), link.Options{Role: link.Dealer})
	Until(t, "a message goes out", func() bool { return dealer.TrySend("", "x") == nil }, dealer, router)
	Until(t, "it arrives", func() bool { return len(router.Data()) == 1 }, router)
	if len(router.Read) != 1 || len(dealer.Read) != 0 {
		t.Fatalf("events without Monitor: %v %v", router.Read, dealer.Read)
	}
}

// TestWakeEndsWait checks: a Wake ends the running Wait, or the next.
func TestWakeEndsWait(t *testing.T, k Kind) {
	e := Open(t, k, k.Free(t), link.Options{Role: link.Router})
	e.Host.Wake()
	e.Host.Wake() // any number counts as one
	Waits(t, e, Long, 0)
	Waits(t, e, 30*time.Millisecond, 30*time.Millisecond)
	for range 50 {
		go e.Host.Wake()
		Waits(t, e, Long, 0)
	}
}

// Waits checks that Wait(d) takes at least the given time, and not for ever. It may
// return early now and then, for something that has just been: a connection that
// joins, a wake-up; not every time.
func Waits(t *testing.T, e *End, d, least time.Duration) {
	t.Helper()
	took := time.Duration(-1)
	for range 4 {
		start := time.Now()
		if err := e.Host.Wait(d); err != nil {
			t.Fatal(err)
		}
		if took = time.Since(start); took >= least {
			break
		}
	}
	if took < least || took > Patience {
		t.Fatalf("Wait(%v) took %v", d, took)
	}
}

// TestWakeIsSafeAtAnyTime checks: also while the host is used and closed.
func TestWakeIsSafeAtAnyTime(t *testing.T, k Kind) {
	e := Open(t, k, k.Free(t), link.Options{Role: link.Router})
	var wakers sync.WaitGroup
	for range 4 {
		wakers.Go(func() {
			for range 500 {
				e.Host.Wake()
			}
		})
	}
	for range 20 {
		Waits(t, e, 0, 0)
	}
	if err := e.Host.Close(); err != nil {
		t.Fatal(err)
	}
	wakers.Wait()
	e.Host.Wake()
}

// TestWaitDoesNotBlockForNothing checks: a Wait takes no longer than it is told, and not less.
func TestWaitDoesNotBlockForNothing(t *testing.T, k Kind) {
	e := Open(t, k, k.Free(t), link.Options{Role: link.Router})
	for _, d := range []time.Duration{0, -1, -time.Hour} {
		Waits(t, e, d, 0)
	}
	// Not shorter than asked for either, or loops spin before a deadline.
	for _, d := range []time.Duration{time.Nanosecond, 900 * time.Microsecond, 120 * time.Millisecond} {
		Waits(t, e, d, d)
	}
}

// TestRecvLimit checks: what a limit has left is waited for no more.
func TestRecvLimit(t *testing.T, k Kind) {
	router, dealer := Pair(t, k, link.Options{}, link.Options{})
	for range 5 {
		dealer.Send("", "x")
	}
	Until(t, "the first arrives", func() bool { Waits(t, router, time.Millisecond, 0); return router.Recv(1) == 1 })
	for left := 4; left > 0; left-- {
		Waits(t, router, Long, 0) // returns although the link was read before
		if router.Recv(1) != 1 {
			left++ // not here yet
		}
	}
	if n := router.Recv(10); n != 0 {
		t.Fatalf("%d messages too many", n)
	}
	Waits(t, router, 50*time.Millisecond, 50*time.Millisecond) // found empty: waits again
}

// TestRecvLimitHoldsForEvents checks: events that did not fit under the limit are waited for no more than messages.
func TestRecvLimitHoldsForEvents(t *testing.T, k Kind) {
	router := Open(t, k, k.Free(t), link.Options{Role: link.Router, Monitor: true})
	for range 3 {
		dealer := Open(t, k, router.Link.Addr(), link.Options{Role: link.Dealer, Monitor: true})
		Until(t, "a dealer connects", func() bool { return dealer.Count(link.Connected) == 1 }, dealer)
	}
	for len(router.Read) < 3 {
		Waits(t, router, Long, 0)
		if router.Recv(1) > 1 {
			t.Fatal("more than the limit")
		}
	}
	Waits(t, router, 20*time.Millisecond, 0)
	if router.Recv(1) != 0 || router.Count(link.Connected) != 3 {
		t.Fatalf("events %v", router.Read)
	}
}

// TestEventFoundBySendIsNotLost checks: a Send that finds the connection gone has read the event that says so.
func TestEventFoundBySendIsNotLost(t *testing.T, k Kind) {
	router, dealer := Pair(t, k, link.Options{}, link.Options{})
	if err := router.Link.Close(); err != nil {
		t.Fatal(err)
	}
	give := time.Now().Add(Patience)
	for !errors.Is(dealer.TrySend("", "x"), link.ErrUnreachable) {
		if time.Now().After(give) {
			t.Fatal("the dealer can still send")
		}
	}
	Waits(t, dealer, Long, 0)
	if dealer.Recv(10); dealer.Count(link.Disconnected) != 1 {
		t.Fatalf("read %v, want Disconnected", dealer.Read)
	}
}

// TestTwoLinksOfOneHost checks: a host waits for all of its links.
func TestTwoLinksOfOneHost(t *testing.T, k Kind) {
	front := Open(t, k, k.Free(t), link.Options{Role: link.Router})
	l, err := front.Host.Open(link.Options{Role: link.Router, Endpoints: []string{k.Free(t)}})
	if err != nil {
		t.Fatal(err)
	}
	back := NewEnd(t, front.Host, l)
	a := Open(t, k, front.Link.Addr(), link.Options{Role: link.Dealer})
	b := Open(t, k, back.Link.Addr(), link.Options{Role: link.Dealer})
	Until(t, "a sends", func() bool { return a.TrySend("", "to front") == nil }, a)
	Until(t, "b sends", func() bool { return b.TrySend("", "to back") == nil }, b)
	Until(t, "both arrive", func() bool { return len(front.Data()) == 1 && len(back.Data()) == 1 }, front, back)

	// A link that is gone is no longer waited for; the other still is.
	if err := back.Link.Close(); err != nil {
		t.Fatal(err)
	}
	a.Send("", "again")
	Until(t, "it arrives", func() bool { return len(front.Data()) == 2 }, front)
}

// TestSeveralEndpoints checks: a Router is bound to each of its endpoints.
func TestSeveralEndpoints(t *testing.T, k Kind) {
	first, second := k.Free(t), k.Free(t)
	if strings.HasPrefix(first, "tcp:") {
		first = FreePort(t, k)
	}
	h := NewHost(t, k, link.Router)
	l, err := h.Open(link.Options{Role: link.Router, Endpoints: []string{first, second}})
	if err != nil {
		t.Fatal(err)
	}
	router := NewEnd(t, h, l)
	for i, endpoint := range []string{first, l.Addr()} {
		dealer := Open(t, k, endpoint, link.Options{Role: link.Dealer})
		Until(t, "a message goes out", func() bool { return dealer.TrySend("", "x") == nil }, dealer, router)
		Until(t, "it arrives", func() bool { return len(router.Data()) == i+1 }, router)
	}
}

// FreePort names an endpoint that was free a moment ago.
func FreePort(t *testing.T, k Kind) string {
	t.Helper()
	e := Open(t, k, "tcp://127.0.0.1:0", link.Options{Role: link.Router})
	if err := e.Host.Close(); err != nil {
		t.Fatal(err)
	}
	return e.Link.Addr()
}

// TestAddr checks: the address tells what was bound, and can be connected to.
func TestAddr(t *testing.T, k Kind) {
	router := Open(t, k, k.Free(t), link.Options{Role: link.Router})
	addr := router.Link.Addr()
	if strings.HasSuffix(addr, ":0") || strings.HasSuffix(addr, "*") {
		t.Fatalf("Addr %s is not an address to connect to", addr)
	}
	dealer := Open(t, k, addr, link.Options{Role: link.Dealer})
	if dealer.Link.Addr() != addr {
		t.Fatalf("dealer's Addr %s, want %s", dealer.Link.Addr(), addr)
	}
}
