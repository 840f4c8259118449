package zmtplink_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/linktest"
	"github.com/privateer-mq/privateer/internal/link/zmtplink/zmtp"
)

// dial connects to a Router as a peer that says only what a test writes.
func dial(t *testing.T, at string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", strings.TrimPrefix(at, "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(linktest.Patience)); err != nil {
		t.Fatal(err)
	}
	return nc
}

// join is dial, and the handshake of a DEALER.
func join(t *testing.T, at, identity string) net.Conn {
	t.Helper()
	nc := dial(t, at)
	if _, err := shake(nc, zmtp.Dealer, identity); err != nil {
		t.Fatal(err)
	}
	return nc
}

// shake does a handshake, and returns what it found out.
func shake(nc net.Conn, as zmtp.SocketType, identity string) (zmtp.Peer, error) {
	h := zmtp.NewHandshake(zmtp.Config{Type: as, Identity: []byte(identity), Connects: true, Mechanism: zmtp.Null{}})
	b := make([]byte, 1)
	for !h.Done() {
		if out := h.Output(); len(out) > 0 {
			if _, err := nc.Write(out); err != nil {
				return h.Peer(), err
			}
		}
		if _, err := nc.Read(b); err != nil {
			return h.Peer(), err
		}
		if _, err := h.Feed(b); err != nil {
			return h.Peer(), err
		}
	}
	return h.Peer(), nil
}

// write writes, and fails the test if that fails.
func write(t *testing.T, nc net.Conn, b []byte) {
	t.Helper()
	if _, err := nc.Write(b); err != nil {
		t.Fatal(err)
	}
}

// frame is one frame.
func frame(flags byte, body string) []byte {
	return append(zmtp.AppendHeader(nil, flags, len(body)), body...)
}

// reads expects these bytes next.
func reads(t *testing.T, nc net.Conn, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	n, err := 0, error(nil)
	attend(t, func() { n, err = io.ReadFull(nc, got) })
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("read %.100q (%v), want %.100q", got[:n], err, want)
	}
}

// ends expects that the connection was closed by the other side.
func ends(t *testing.T, nc net.Conn) {
	t.Helper()
	var err error
	attend(t, func() { _, err = io.Copy(io.Discard, nc) })
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the connection is still there")
	}
}

// attended is the Router of the test that runs.
var attended *linktest.End

// attend does something that takes until the Router has done its part, which the
// Router does only while its owner comes back to it.
func attend(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { f(); close(done) }()
	for {
		select {
		case <-done:
			return
		default:
			if attended == nil {
				<-done
			} else if err := attended.Host.Wait(time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func openRouter(t *testing.T, o link.Options) *linktest.End {
	t.Helper()
	o.Role, o.Monitor = link.Router, true
	attended = linktest.Open(t, tcp, "tcp://127.0.0.1:0", o)
	t.Cleanup(func() { attended = nil })
	return attended
}

func stats(e *linktest.End) link.Stats { return e.Link.(link.Observed).Stats() }

// served checks that a dealer gets an answer.
func served(t *testing.T, router *linktest.End) {
	t.Helper()
	dealer := linktest.Open(t, tcp, router.Link.Addr(), link.Options{Role: link.Dealer, Monitor: true})
	before := len(router.Data())
	linktest.Until(t, "a neighbour can send", func() bool { return dealer.TrySend("", "are you there") == nil }, dealer, router)
	asked := func() (peer string, ok bool) {
		for _, m := range router.Data()[before:] {
			if len(m.Frames) == 1 && string(m.Frames[0]) == "are you there" {
				return string(m.Peer), true
			}
		}
		return "", false
	}
	linktest.Until(t, "it is heard", func() bool { _, ok := asked(); return ok }, router)
	peer, _ := asked()
	router.Send(peer, "yes")
	linktest.Until(t, "it is answered", func() bool { return len(dealer.Data()) == 1 }, dealer)
	if err := dealer.Host.Close(); err != nil {
		t.Fatal(err)
	}
}
