package link

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The tests here run in virtual time, in which a Wait takes exactly as long
// as it should. What memory and ZeroMQ links have in common is tested over
// both, in linktest.

func openMemory(t *testing.T, h Host, o Options, endpoint string) Link {
	t.Helper()
	o.Endpoints = []string{endpoint}
	l, err := h.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// connected returns a connected router and dealer, each with a host of its own.
func connected(t *testing.T, forRouter, forDealer Options, query string) (rh Host, r Link, dh Host, d Link) {
	t.Helper()
	name := "mem://" + strings.ReplaceAll(t.Name(), " ", "_")
	rh, dh = NewMemory(), NewMemory()
	t.Cleanup(func() { _, _ = rh.Close(), dh.Close() })
	if forDealer.Role == Router {
		forDealer.Role = Dealer
	}
	if len(forDealer.Identity) == 0 {
		forDealer.Identity = []byte("d")
	}
	r = openMemory(t, rh, forRouter, name)
	d = openMemory(t, dh, forDealer, name+query)
	wait(t, dh, 0)
	return rh, r, dh, d
}

func wait(t *testing.T, h Host, d time.Duration) {
	t.Helper()
	if err := h.Wait(d); err != nil {
		t.Fatal(err)
	}
}

func recv(t *testing.T, l Link) []Message {
	t.Helper()
	got, err := l.Recv(nil, math.MaxInt)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func send(t *testing.T, l Link, peer []byte, frames ...string) {
	t.Helper()
	var raw [][]byte
	for _, f := range frames {
		raw = append(raw, []byte(f))
	}
	if err := l.Send(peer, raw...); err != nil {
		t.Fatal(err)
	}
}

// elapsed checks how long f took in virtual time, exactly.
func elapsed(t *testing.T, want time.Duration, f func()) {
	t.Helper()
	start := time.Now()
	f()
	if got := time.Since(start); got != want {
		t.Fatalf("took %v, want exactly %v", got, want)
	}
}

func TestWaitTakesExactlyItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rh, _, dh, _ := connected(t, Options{}, Options{}, "")
		for _, d := range []time.Duration{-1, 0} {
			elapsed(t, 0, func() { wait(t, rh, d) })
		}
		for _, d := range []time.Duration{1, time.Microsecond, 3 * time.Hour} {
			elapsed(t, d, func() { wait(t, rh, d) })
			elapsed(t, d, func() { wait(t, dh, d) })
		}
	})
}

func TestWaitEndsAtTheMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rh, r, dh, d := connected(t, Options{}, Options{}, "")
		go func() {
			wait(t, dh, 7*time.Second)
			send(t, d, nil, "x")
		}()
		elapsed(t, 7*time.Second, func() { wait(t, rh, math.MaxInt64) })
		if len(recv(t, r)) != 1 {
			t.Fatal("Wait ended, but nothing is there")
		}
	})
}

func TestWakeEndsWaitAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rh, _, dh, _ := connected(t, Options{}, Options{}, "")
		go func() {
			wait(t, dh, time.Second)
			rh.Wake()
		}()
		elapsed(t, time.Second, func() { wait(t, rh, time.Hour) })
		rh.Wake()
		elapsed(t, 0, func() { wait(t, rh, time.Hour) })
		elapsed(t, time.Hour, func() { wait(t, rh, time.Hour) })
	})
}

func TestDelayIsExactAndKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rh, r, dh, d := connected(t, Options{}, Options{}, "?delay=5ms")
		send(t, d, nil, "one")
		elapsed(t, 2*time.Millisecond, func() { wait(t, dh, 2*time.Millisecond) })
		send(t, d, nil, "two")
		if len(recv(t, r)) != 0 {
			t.Fatal("a message arrived before its time")
		}
		elapsed(t, 3*time.Millisecond, func() { wait(t, rh, time.Hour) })
		if got := recv(t, r); len(got) != 1 || string(got[0].Frames[0]) != "one" {
			t.Fatalf("got %v", got)
		}
		elapsed(t, 2*time.Millisecond, func() { wait(t, rh, time.Hour) })
		if got := recv(t, r); len(got) != 1 || string(got[0].Frames[0]) != "two" {
			t.Fatalf("got %v", got)
		}
		send(t, r, []byte("d"), "reply")
		elapsed(t, 5*time.Millisecond, func() { wait(t, dh, time.Hour) })
	})
}

func TestOrderIsKeptWithinAnInstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, r, _, d := connected(t, Options{}, Options{}, "")
		for i := range 100 {
			send(t, d, nil, fmt.Sprint(i))
		}
		for i, m := range recv(t, r) {
			if string(m.Frames[0]) != fmt.Sprint(i) {
				t.Fatalf("message %d is %s", i, m.Frames[0])
			}
		}
	})
}

func TestReconnectWaitsDouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewMemory()
		defer h.Close()
		start := time.Now()
		openMemory(t, h, Options{Role: Dealer, ReconnectMin: 10 * time.Millisecond, ReconnectMax: 50 * time.Millisecond, Monitor: true}, "mem://doubling")
		wait(t, h, 75*time.Millisecond) // attempts after 0, 10, 30 and 70 ms
		rh := NewMemory()
		defer rh.Close()
		openMemory(t, rh, Options{}, "mem://doubling")
		wait(t, h, time.Hour)
		if got := time.Since(start); got != 120*time.Millisecond { // 70 + the maximum
			t.Fatalf("connected after %v", got)
		}
	})
}

func TestRouterRestartLosesWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rh, r, dh, d := connected(t, Options{Monitor: true}, Options{Monitor: true, ReconnectMin: 10 * time.Millisecond}, "?delay=5ms")
		recv(t, d)
		send(t, d, nil, "lost")
		send(t, r, []byte("d"), "lost too")
		if err := rh.Close(); err != nil {
			t.Fatal(err)
		}
		wait(t, dh, 0)
		if got := recv(t, d); len(got) != 1 || got[0].Kind != Disconnected {
			t.Fatalf("got %v, want Disconnected", got)
		}
		again := NewMemory()
		defer again.Close()
		r2 := openMemory(t, again, Options{}, r.Addr())
		elapsed(t, 10*time.Millisecond, func() { wait(t, dh, time.Hour) })
		if got := recv(t, d); len(got) != 1 || got[0].Kind != Connected {
			t.Fatalf("got %v, want Connected", got)
		}
		elapsed(t, time.Hour, func() { wait(t, again, time.Hour) })
		if len(recv(t, r2))+len(recv(t, d)) != 0 {
			t.Fatal("a message outlived its connection")
		}
	})
}

func TestLingerCoversTheDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for linger, want := range map[time.Duration]int{0: 0, 4 * time.Millisecond: 0, 5 * time.Millisecond: 1} {
			rh, r, _, d := connected(t, Options{}, Options{Linger: linger}, "?delay=5ms")
			send(t, d, nil, "last words")
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			wait(t, rh, 10*time.Millisecond)
			if got := len(recv(t, r)); got != want {
				t.Errorf("linger %v: %d messages, want %d", linger, got, want)
			}
			r.Close()
		}
	})
}

func TestReqDiscardsADuplicateReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rh, r, dh, d := connected(t, Options{}, Options{Role: Req}, "?dup=1&delay=1ms")
		for _, question := range []string{"one", "two"} {
			send(t, d, nil, question)
			wait(t, rh, time.Hour)
			if got := recv(t, r); len(got) != 2 {
				t.Fatalf("router got %v", got)
			}
			send(t, r, []byte("d"), "", "reply to "+question)
			elapsed(t, time.Millisecond, func() { wait(t, dh, time.Hour) })
			if got := recv(t, d); len(got) != 1 || string(got[0].Frames[0]) != "reply to "+question {
				t.Fatalf("req got %q", got)
			}
			elapsed(t, time.Hour, func() { wait(t, dh, time.Hour) })
		}
	})
}

func TestReqDiscardsAReplyWithoutDelimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, r, _, d := connected(t, Options{}, Options{Role: Req}, "")
		send(t, d, nil, "q")
		for _, malformed := range [][]string{{"no delimiter"}, {""}, {"x", "y"}} {
			send(t, r, []byte("d"), malformed...)
		}
		if got := recv(t, d); len(got) != 0 {
			t.Fatalf("got %q", got)
		}
		send(t, r, []byte("d"), "", "good")
		if got := recv(t, d); len(got) != 1 || string(got[0].Frames[0]) != "good" {
			t.Fatalf("got %q", got)
		}
	})
}

func TestUnreadEventsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, r, dh, d := connected(t, Options{Monitor: true}, Options{ReconnectMin: 1}, "?cut=1")
		for range 2 * eventsMax {
			send(t, d, nil, "x")
			wait(t, dh, 1)
		}
		if got := len(recv(t, r)); got != eventsMax {
			t.Fatalf("%d unread events", got)
		}
	})
}

func TestMemoryEndpointErrors(t *testing.T) {
	for endpoint, want := range map[string]string{
		"tcp://x:1":             "only mem:// endpoints",
		"mem://":                "name is missing",
		"mem://?seed=1":         "name is missing",
		"mem://a b":             "must not contain",
		"mem://x?seed=-1":       "whole number",
		"mem://x?loss=1.5":      "probability",
		"mem://x?cut=NaN":       "probability",
		"mem://x?dup=often":     "probability",
		"mem://x?delay=5":       "duration",
		"mem://x?delay=-5ms":    "duration",
		"mem://x?delay=2h":      "duration",
		"mem://x?lost=1":        `unknown key "lost": the keys are seed, loss, delay, dup, cut`,
		"mem://x?seed=1&seed=2": "given 2 times",
		"mem://x?seed=%zz":      "bad query",
	} {
		_, err := NewMemory().Open(Options{Role: Dealer, Endpoints: []string{endpoint}})
		if err == nil || !strings.HasPrefix(err.Error(), "connect "+endpoint+": ") || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	_, err := NewMemory().Open(Options{Endpoints: []string{"mem://x?loss=0.1"}})
	if err == nil || !strings.Contains(err.Error(), "connecting side") {
		t.Errorf("binding with faults: %v", err)
	}
}

func TestBindTakesAllNamesOrNone(t *testing.T) {
	h := NewMemory()
	defer h.Close()
	openMemory(t, h, Options{}, "mem://taken")
	if _, err := h.Open(Options{Endpoints: []string{"mem://other", "mem://taken"}}); err == nil {
		t.Fatal("bound a taken name")
	}
	if _, err := h.Open(Options{Endpoints: []string{"mem://other", "mem://other"}}); err == nil {
		t.Fatal("bound a name twice")
	}
	openMemory(t, h, Options{}, "mem://other") // still free
}
