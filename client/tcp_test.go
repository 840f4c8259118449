package client

import (
	"bytes"
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// each runs test with both faces over real ZeroMQ.
func each(t *testing.T, handle func(*fake, *asked), test func(t *testing.T, f *fake, do doer)) {
	t.Run("REQ", func(t *testing.T) {
		f := startFake(t, "tcp://127.0.0.1:0", 7, handle)
		c, err := New(Config{Brokers: []string{f.router.Addr()}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		test(t, f, c)
	})
	t.Run("DEALER", func(t *testing.T) {
		f := startFake(t, "tcp://127.0.0.1:0", 7, handle)
		p, err := NewPipeline(Config{Brokers: []string{f.router.Addr()}})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		test(t, f, p)
	})
}

func TestTCP(t *testing.T) {
	each(t, nil, func(t *testing.T, f *fake, do doer) {
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() {
				body := bytes.Repeat([]byte{byte(i)}, i*10)
				r, err := do.Do(context.Background(), Request{Service: "s", Frames: [][]byte{body, {}}})
				if err != nil || len(r.Frames) != 2 || !bytes.Equal(r.Frames[0], body) {
					t.Errorf("%d: %v", i, err)
				}
			})
		}
		all.Wait()
		if s := do.Stats(); s.Outcomes[protocol.OK] != 200 || s.Open != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

// A killed broker breaks the connection; the request is asked again at once,
// of whoever comes back on that port.
func TestTCPBrokerRestart(t *testing.T) {
	arrived := make(chan bool, 2)
	each(t, func(f *fake, q *asked) { arrived <- true }, func(t *testing.T, f *fake, do doer) {
		go func() {
			<-arrived
			endpoint := f.router.Addr()
			f.kill()
			startFake(t, endpoint, 8, nil)
		}()
		start := time.Now()
		r, err := do.Do(context.Background(), Request{Service: "s", Body: []byte("x"), Timeout: 20 * time.Second})
		if err != nil || r.Tries < 2 || r.Tries > 3 || string(r.Body()) != "x" { // 3: one went into the dying connection
			t.Fatalf("got %+v, %v", r, err)
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("took %v: the disconnect went unnoticed", d)
		}
	})
}

func TestTCPCancel(t *testing.T) {
	arrived := make(chan bool, 2)
	handle := func(f *fake, q *asked) {
		if q.msg.Command == protocol.Request {
			arrived <- true
			return
		}
		f.echo(q)
	}
	each(t, handle, func(t *testing.T, f *fake, do doer) {
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			<-arrived
			cancel()
		}()
		_, err := do.Do(ctx, Request{Service: "s"})
		certain(t, err, context.Canceled, protocol.NotStarted)
	})
}

// A body just within the limit and one beyond it, of a fresh client.
func TestTCPLarge(t *testing.T) {
	each(t, nil, func(t *testing.T, f *fake, do doer) {
		r, err := do.Do(context.Background(), Request{Service: "s", Body: make([]byte, 1<<20)})
		if err != nil || len(r.Body()) != 1<<20 {
			t.Errorf("got %d bytes, %v", len(r.Body()), err)
		}
		_, err = do.Do(context.Background(), Request{Service: "s", Body: make([]byte, 1<<20+1)})
		certain(t, err, ErrInvalid, protocol.NotStarted)
	})
}

// Who could not be reached is told, and why.
func TestUnreachableSaysWhy(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := "tcp://" + l.Addr().String()
	l.Close()
	none := "ipc://" + filepath.Join(t.TempDir(), "none")
	cfg := Config{Brokers: []string{at, none}, Timeout: 50 * time.Millisecond, Deadline: 500 * time.Millisecond}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p, err := NewPipeline(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for name, do := range map[string]doer{"REQ": c, "DEALER": p} {
		_, err := do.Do(context.Background(), Request{Service: "s"})
		var e *Error
		if !errors.As(err, &e) || e.Code != protocol.Unreachable {
			t.Fatalf("%s: %v", name, err)
		}
		for _, want := range []string{"connect " + at + ": ", "connection refused", "connect " + none + ": ", "no such file"} {
			if !strings.Contains(e.Message, want) {
				t.Errorf("%s: %q says nothing of %q", name, e.Message, want)
			}
		}
	}
}
