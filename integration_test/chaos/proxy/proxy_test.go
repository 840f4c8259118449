package proxy

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

const (
	// patience bounds every wait for something that should come at once.
	patience = 20 * time.Second
	// silence is how long nothing must come where nothing can.
	silence = 30 * time.Millisecond
)

// An echo is a server that sends back what it reads.
type echo struct {
	t        *testing.T
	listener net.Listener
	conns    chan net.Conn // each connection, once taken
	read     chan string   // what it has read, before it is sent back
	ended    chan error    // how each connection's reading ended; nil is a clean end
}

func newEcho(t *testing.T) *echo {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{t, l, make(chan net.Conn, 100), make(chan string, 100), make(chan error, 100)}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			e.conns <- c
			go e.serve(c)
		}
	}()
	return e
}

func (e *echo) serve(c net.Conn) {
	buffer := make([]byte, 1024)
	for {
		n, err := c.Read(buffer)
		if n > 0 {
			e.read <- string(buffer[:n])
			_, _ = c.Write(buffer[:n]) // the other side may be gone: Read says it
		}
		if errors.Is(err, io.EOF) {
			err = nil
		} else if err == nil {
			continue
		}
		c.Close()
		e.ended <- err
		return
	}
}

func newProxy(t *testing.T, e *echo) *Proxy {
	p, err := Listen(e.listener.Addr().String(), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// dial connects through the proxy. The echo server has taken the connection
// when it returns.
func dial(t *testing.T, p *Proxy, e *echo) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	await(t, e.conns)
	return c
}

func await[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("it does not come")
		panic("unreachable")
	}
}

func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func wantRead(t *testing.T, c net.Conn, want string) {
	t.Helper()
	buffer := make([]byte, len(want))
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, buffer); err != nil || string(buffer) != want {
		t.Fatalf("read %q, %v; want %q", buffer, err, want)
	}
}

// wantNothing checks that c stays silent, and open.
func wantNothing(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(silence)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read %d bytes, %v; want silence", n, err)
	}
}

func wantEnd(t *testing.T, c net.Conn, want error) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}

func exchange(t *testing.T, c net.Conn, e *echo, text string) {
	t.Helper()
	send(t, c, text)
	wantRead(t, c, text)
	if got := await(t, e.read); got != text {
		t.Fatalf("the server read %q, want %q", got, text)
	}
}

func TestPassesOn(t *testing.T) {
	e := newEcho(t)
	p := newProxy(t, e)
	c := dial(t, p, e)
	exchange(t, c, e, "hello")
	c.Close()
	if err := await(t, e.ended); err != nil {
		t.Errorf("the server saw %v, want a clean end", err)
	}
}

func TestNobodyThere(t *testing.T) {
	e := newEcho(t)
	p := newProxy(t, e)
	e.listener.Close()
	wantRefused(t, p)
}

// wantRefused checks that who connects is reset: while it does, or right after.
func wantRefused(t *testing.T, p *Proxy) {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if errors.Is(err, syscall.ECONNRESET) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	wantEnd(t, c, syscall.ECONNRESET)
}

func TestCut(t *testing.T) {
	for _, reset := range []bool{false, true} {
		e := newEcho(t)
		p := newProxy(t, e)
		c := dial(t, p, e)
		exchange(t, c, e, "before")
		p.Cut(reset)
		want := map[bool]error{false: io.EOF, true: syscall.ECONNRESET}[reset]
		wantEnd(t, c, want)
		if err := await(t, e.ended); reset != errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("reset %v: the server saw %v", reset, err)
		}
		wantRefused(t, p)
		p.Heal()
		exchange(t, dial(t, p, e), e, "after")
	}
}

func TestReset(t *testing.T) {
	e := newEcho(t)
	p := newProxy(t, e)
	for range 5 {
		c := dial(t, p, e)
		exchange(t, c, e, "x")
		if n := p.Reset(); n != 1 {
			t.Fatalf("%d connections were reset, want 1", n)
		}
		wantEnd(t, c, syscall.ECONNRESET)
		if err := await(t, e.ended); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the server saw %v", err)
		}
	}
}

func TestStall(t *testing.T) {
	t.Run("to the broker", func(t *testing.T) {
		e := newEcho(t)
		p := newProxy(t, e)
		c := dial(t, p, e)
		p.Stall(Broker)
		send(t, c, "late")
		wantNothing(t, c)
		if len(e.read) != 0 {
			t.Error("it got through")
		}
		p.Heal()
		wantRead(t, c, "late")
	})
	t.Run("to the peer", func(t *testing.T) {
		e := newEcho(t)
		p := newProxy(t, e)
		c := dial(t, p, e)
		p.Stall(Peer)
		send(t, c, "late")
		if got := await(t, e.read); got != "late" { // the other way is free
			t.Errorf("the server read %q", got)
		}
		wantNothing(t, c)
		fresh := dial(t, p, e) // new connections too
		send(t, fresh, "fresh")
		await(t, e.read)
		wantNothing(t, fresh)
		p.Heal()
		wantRead(t, c, "late")
		wantRead(t, fresh, "fresh")
	})
}

func TestHalfOpen(t *testing.T) {
	t.Run("the broker believes in it", func(t *testing.T) {
		e := newEcho(t)
		p := newProxy(t, e)
		c := dial(t, p, e)
		exchange(t, c, e, "before")
		if n := p.HalfOpen(Peer); n != 1 {
			t.Fatalf("%d connections, want 1", n)
		}
		wantEnd(t, c, io.EOF)
		exchange(t, dial(t, p, e), e, "anew")
		if len(e.ended) != 0 {
			t.Error("the server has seen an end")
		}
		if whole, half := p.Connections(); whole != 1 || half != 1 {
			t.Errorf("%d whole, %d half; want 1 of each", whole, half)
		}
		p.Heal()
		if err := await(t, e.ended); err != nil {
			t.Errorf("the server saw %v", err)
		}
	})
	t.Run("the peer believes in it", func(t *testing.T) {
		e := newEcho(t)
		p := newProxy(t, e)
		c := dial(t, p, e)
		exchange(t, c, e, "before")
		p.HalfOpen(Broker)
		if err := await(t, e.ended); err != nil {
			t.Errorf("the server saw %v", err)
		}
		send(t, c, "into nowhere")
		wantNothing(t, c)
		p.Heal()
		wantEnd(t, c, io.EOF)
	})
}

func TestDelay(t *testing.T) {
	const delay = 20 * time.Millisecond
	e := newEcho(t)
	p := newProxy(t, e)
	c := dial(t, p, e)
	p.Delay(delay, 5*time.Millisecond)
	began := time.Now()
	exchange(t, c, e, "slow")
	if took := time.Since(began); took < 2*delay {
		t.Errorf("there and back took %v, want at least %v", took, 2*delay)
	}
	send(t, c, "1")
	await(t, e.read)
	send(t, c, "2")
	await(t, e.read)
	wantRead(t, c, "12")
}

func TestClose(t *testing.T) {
	e := newEcho(t)
	p := newProxy(t, e)
	stalled, half := dial(t, p, e), dial(t, p, e)
	exchange(t, half, e, "x")
	p.HalfOpen(Broker)
	p.Stall(Peer)
	later := dial(t, p, e)
	send(t, later, "y")
	await(t, e.read)
	p.Close() // waits for all that it has started
	for _, c := range []net.Conn{stalled, half, later} {
		if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a connection is still open: %v", err)
		}
	}
}
