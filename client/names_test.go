package client

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link/linktest"
)

// A client has two brokers, one of them by a name that no name server answers for.
// Whichever is named first, the other one is asked: at the latest after the wait for
// a link, and from then on at once, while the name is still being looked up.
func TestSilentNameServer(t *testing.T) {
	const name = "tcp://broker.invalid:5555"
	answered := func(t *testing.T, do doer) {
		slow := 0
		for n := range 200 {
			start := time.Now()
			r, err := do.Do(context.Background(), Request{Service: "s", Deadline: 20 * time.Second})
			if err != nil || r.Tries != 1 {
				t.Fatalf("%+v, %v", r, err)
			}
			if n > 0 && time.Since(start) > time.Second/2 {
				slow++
			}
			time.Sleep(time.Millisecond)
		}
		if slow > 1 { // once the machine may have been busy
			t.Errorf("%d requests waited for the name server", slow)
		}
	}
	for _, order := range []string{"name, address", "address, name"} {
		t.Run(order, func(t *testing.T) {
			asked := linktest.Names(t, netip.Addr{})
			f := startFake(t, "tcp://127.0.0.1:0", 7, nil)
			cfg := Config{Brokers: []string{name, f.router.Addr()}}
			if order == "address, name" {
				cfg.Brokers = []string{f.router.Addr(), name}
			}
			c, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			answered(t, c)
			p, err := NewPipeline(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			answered(t, p)
			if order == "name, address" && asked() == 0 {
				t.Error("nobody has asked what the name means")
			}
		})
	}
}
