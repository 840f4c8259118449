package linktest

import (
	"net"
	"testing"
	"time"
)

// An Idle is a listener that accepts connections and closes them at once, as a proxy
// without a backend does.
type Idle struct {
	Endpoint string
	t        *testing.T
	at       net.Listener
	since    time.Time
}

// NewIdle returns one that nobody has connected to.
func NewIdle(t *testing.T) *Idle {
	t.Helper()
	at, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = at.Close() })
	return &Idle{Endpoint: "tcp://" + at.Addr().String(), t: t, at: at, since: time.Now()}
}

// Accept accepts n connections, closes each, and then makes sure that the waits
// between all so far, the first of which are numbers from on, were those of a doubling back-off
// from least to most, of which each takes half at least.
func (d *Idle) Accept(from, n int, least, most time.Duration) {
	d.t.Helper()
	floor := time.Duration(0)
	for k := range from + n {
		if k > 0 {
			floor += min(least<<min(k-1, 20), most) / 2
		}
		if k < from {
			continue
		}
		_ = d.at.(*net.TCPListener).SetDeadline(time.Now().Add(Patience))
		c, err := d.at.Accept()
		if err != nil {
			d.t.Fatal(err)
		}
		_ = c.Close()
		if took := time.Since(d.since); took < floor {
			d.t.Fatalf("connection %d after %v, want %v at least", k+1, took, floor)
		}
	}
}
