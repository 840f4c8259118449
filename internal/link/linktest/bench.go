package linktest

import (
	"fmt"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
)

// RunBenchmarks measures round trips between a Dealer and a Router that echoes,
// each with a loop of its own: how long one takes when they go one by one, and
// what one costs when many are under way.
func RunBenchmarks(b *testing.B, kinds []Kind) {
	for _, k := range kinds {
		for _, c := range []struct{ body, window int }{{64, 1}, {64, 64}, {1 << 10, 64}, {64 << 10, 16}, {1 << 20, 4}} {
			b.Run(fmt.Sprintf("%s/%dB×%d", k.Name, c.body, c.window), func(b *testing.B) { roundTrips(b, k, c.body, c.window) })
		}
	}
}

func roundTrips(b *testing.B, k Kind, body, window int) {
	rh, err := k.Bind()
	if err != nil {
		b.Fatal(err)
	}
	dh, err := k.Connect()
	if err != nil {
		b.Fatal(err)
	}
	router, err := rh.Open(link.Options{Role: link.Router, Endpoints: []string{"tcp://127.0.0.1:0"}, Lend: true})
	if err != nil {
		b.Fatal(err)
	}
	dealer, err := dh.Open(link.Options{Role: link.Dealer, Endpoints: []string{router.Addr()}, Identity: []byte("a bench's dealer"), Lend: true, Monitor: true})
	if err != nil {
		b.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		echo(rh, router, stop)
	}()
	defer func() {
		close(stop)
		rh.Wake()
		<-stopped
		if rh.Close() != nil || dh.Close() != nil {
			b.Error("closing failed")
		}
	}()
	ask(b, dh, dealer, body, window)
}

// echo sends everything back until it is stopped.
func echo(h link.Host, l link.Link, stop chan struct{}) {
	var in []link.Message
	for {
		select {
		case <-stop:
			return
		default:
		}
		if h.Wait(100*time.Millisecond) != nil {
			return
		}
		var spent [][]byte
		in, _ = l.Recv(in[:0], 256)
		for _, m := range in {
			l.Put(m.Peer, m.Frames...)
			for _, f := range m.Frames {
				if len(f) >= link.LentMax {
					spent = append(spent, f)
				}
			}
		}
		l.Flush(nil)
		h.Recycle(spent)
	}
}

// ask makes b.N round trips, window of them at a time.
func ask(b *testing.B, h link.Host, l link.Link, body, window int) {
	header, payload := make([]byte, 56), make([]byte, body)
	var in []link.Message
	for connected := false; !connected; {
		_ = h.Wait(time.Second)
		in, _ = l.Recv(in[:0], 1)
		connected = len(in) > 0
	}
	b.ReportAllocs()
	b.ResetTimer()
	for sent, got := 0, 0; got < b.N; {
		for ; sent < b.N && sent-got < window; sent++ {
			l.Put(nil, nil, header, payload)
		}
		l.Flush(func(_ int, err error) { b.Error(err) })
		if err := h.Wait(time.Second); err != nil {
			b.Fatal(err)
		}
		in, _ = l.Recv(in[:0], 256)
		for _, m := range in {
			if m.Kind == link.Data {
				got++
				h.Recycle(m.Frames[2:])
			}
		}
	}
}
