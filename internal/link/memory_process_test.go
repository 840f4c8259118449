package link

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// inProcess returns a router and a dealer, connected, and the dealer's process.
func inProcess(t *testing.T) (rh Host, r Link, p *Process, dh Host, d Link) {
	t.Helper()
	name := "mem://" + t.Name()
	p = NewProcess()
	rh, dh = NewMemory(), NewMemory()
	t.Cleanup(func() { p.Kill(); _, _ = rh.Close(), dh.Close() })
	r = openMemory(t, rh, Options{Monitor: true}, name)
	d = openMemory(t, dh, Options{Role: Dealer, Identity: []byte("d"), Monitor: true}, p.Endpoint(name+"?seed=1"))
	wait(t, dh, 0)
	if len(recv(t, r))+len(recv(t, d)) != 2 {
		t.Fatal("not connected")
	}
	return rh, r, p, dh, d
}

func TestFrozenProcessStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rh, r, p, dh, d := inProcess(t)
		p.Freeze()
		send(t, r, []byte("d"), "while frozen")
		began, steps := time.Now(), make(chan time.Duration, 10)
		go func() {
			wait(t, dh, 10*time.Millisecond)
			steps <- time.Since(began)
			recv(t, d)
			p.Freeze()
			p.Freeze()
			send(t, d, nil, "late")
			steps <- time.Since(began)
			wait(t, dh, 10*time.Millisecond)
			steps <- time.Since(began)
		}()
		elapsed(t, time.Second, func() { wait(t, rh, time.Second) })
		if len(recv(t, r)) != 0 {
			t.Error("a frozen process did something")
		}
		p.Thaw()
		synctest.Wait() // it has frozen itself before its Send
		elapsed(t, time.Second, func() { wait(t, rh, time.Second) })
		p.Thaw()
		elapsed(t, 0, func() { wait(t, rh, time.Hour) })
		if got := recv(t, r); len(got) != 1 || string(got[0].Frames[0]) != "late" {
			t.Errorf("got %v", got)
		}
		for i, want := range []time.Duration{time.Second, 2 * time.Second, 2010 * time.Millisecond} {
			if got := <-steps; got != want {
				t.Errorf("step %d at %v, want %v", i, got, want)
			}
		}
	})
}

func TestKilledProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rh, r, p, dh, d := inProcess(t)
		send(t, d, nil, "last words")
		p.Freeze()
		gone := make(chan error, 1)
		go func() { gone <- dh.Wait(time.Hour) }()
		synctest.Wait()
		elapsed(t, 0, p.Kill)
		p.Kill()
		if err := <-gone; !errors.Is(err, ErrClosed) {
			t.Errorf("Wait of a killed process: %v", err)
		}
		wait(t, rh, 0)
		got := recv(t, r)
		if len(got) != 2 || string(got[0].Frames[0]) != "last words" || got[1].Kind != Disconnected {
			t.Errorf("got %v", got)
		}
		if err := r.Send([]byte("d"), []byte("x")); !errors.Is(err, ErrUnreachable) {
			t.Errorf("Send to a killed process: %v", err)
		}
		if err := d.Send(nil, []byte("x")); !errors.Is(err, ErrClosed) {
			t.Errorf("Send of a killed process: %v", err)
		}
		_, err := NewMemory().Open(Options{Role: Dealer, Endpoints: []string{p.Endpoint("mem://x")}})
		if !errors.Is(err, ErrClosed) {
			t.Errorf("Open of a killed process: %v", err)
		}
		p.Freeze() // has no effect on it
		if err := dh.Wait(0); !errors.Is(err, ErrClosed) {
			t.Errorf("Wait: %v", err)
		}
	})
}

// A killed router frees its name at once, and is known by it, not by its process.
func TestKilledRouter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, h := NewProcess(), NewMemory()
		r := openMemory(t, h, Options{}, p.Endpoint("mem://killed-router"))
		if r.Addr() != "mem://killed-router" {
			t.Errorf("bound to %s", r.Addr())
		}
		p.Kill()
		again := NewMemory()
		defer again.Close()
		openMemory(t, again, Options{}, "mem://killed-router")
		if len(network.alive) != 0 {
			t.Errorf("%d processes alive", len(network.alive))
		}
	})
}

func TestOneHostOneProcess(t *testing.T) {
	one, two, h := NewProcess(), NewProcess(), NewMemory()
	defer one.Kill()
	defer two.Kill()
	openMemory(t, h, Options{Role: Dealer}, one.Endpoint("mem://a"))
	openMemory(t, h, Options{Role: Dealer}, one.Endpoint("mem://b"))
	_, err := h.Open(Options{Role: Dealer, Endpoints: []string{two.Endpoint("mem://c")}})
	if err == nil || !strings.Contains(err.Error(), "connect mem://c") || !strings.Contains(err.Error(), "already") {
		t.Errorf("a second process: %v", err)
	}
	for _, bad := range []string{"mem://x?process=0", "mem://x?process=me"} {
		if _, err := h.Open(Options{Role: Dealer, Endpoints: []string{bad}}); err == nil || !strings.Contains(err.Error(), "not the number of a Process") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
