package zmtplink_test

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/linktest"
	"github.com/privateer-mq/privateer/internal/link/zmtplink"
	"github.com/privateer-mq/privateer/internal/link/zmtplink/zmtp"
)

// arrived is called for messages and events, and may use the host and its links
// as it likes, also to close them.
func TestArrived(t *testing.T) {
	router := openRouter(t, link.Options{})
	var dealer atomic.Pointer[link.Link]
	told := make(chan link.Message, 10)
	closed := make(chan error, 1)
	h := zmtplink.New(func() {
		l := dealer.Load()
		if l == nil {
			return // Open has not returned
		}
		got, err := (*l).Recv(nil, 10)
		if err != nil {
			return // the end of what the call before has closed
		}
		for _, m := range got {
			if told <- m; m.Kind == link.Data && string(m.Frames[0]) == "close" {
				closed <- (*l).Close()
			}
		}
	})
	defer h.Close()
	l, err := h.Open(link.Options{Role: link.Dealer, Endpoints: []string{router.Link.Addr()}, Identity: []byte("d"), Monitor: true})
	if err != nil {
		t.Fatal(err)
	}
	dealer.Store(&l)
	linktest.Until(t, "the dealer connects", func() bool { return router.Count(link.Connected) == 1 }, router)
	router.Send("d", "hello")
	for greeted := false; !greeted; {
		select {
		case m := <-told:
			greeted = m.Kind == link.Data && string(m.Frames[0]) == "hello"
		case <-time.After(linktest.Patience):
			t.Fatal("nobody was told of a message")
		}
	}
	router.Send("d", "close")
	select {
	case err := <-closed:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(linktest.Patience):
		t.Fatal("the link is not closed")
	}
	linktest.Until(t, "the connection ends", func() bool { return router.Count(link.Disconnected) == 1 }, router)
}

// A large frame that waits to be sent cannot be read into before it was sent,
// and is used again after it.
func TestLoans(t *testing.T) {
	const size = 8 << 20 // more than the buffers on the way
	router := openRouter(t, link.Options{Lend: true, PeerBytesMax: 64 << 20})
	source := join(t, router.Link.Addr(), "source")
	sink := join(t, router.Link.Addr(), "sink")
	large := func(fill string) []byte {
		return append(zmtp.AppendHeader(nil, zmtp.Last, size), strings.Repeat(fill, size)...)
	}
	receive := func(fill string) []byte {
		t.Helper()
		go func() { _, _ = source.Write(large(fill)) }()
		n := len(router.Data())
		linktest.Until(t, "it comes", func() bool { return len(router.Data()) == n+1 }, router)
		return router.Data()[n].Frames[0]
	}
	first := receive("1")
	for range 2 {
		if err := router.Link.Send([]byte("sink"), first); err != nil {
			t.Fatal(err)
		}
	}
	linktest.ExpectError(t, router.Link.Send([]byte("nobody"), first), link.ErrUnreachable)
	router.Host.Recycle([][]byte{first})
	for _, fill := range []string{"2", "3"} {
		other := receive(fill)
		waits := stats(router).BytesToSend > 0
		if fill == "2" && !waits {
			t.Fatal("the buffers on the way took all")
		}
		if &other[0] == &first[0] {
			if waits {
				t.Fatal("a frame was read into that is still to be sent")
			}
			router.Host.Recycle([][]byte{other})
		}
		reads(t, sink, large("1"))
	}
	linktest.Until(t, "all is sent", func() bool { return stats(router).BytesToSend == 0 }, router)
	if third := receive("4"); &third[0] != &first[0] {
		t.Fatal("a frame that was sent is not used again")
	}
}

// What is not lent may be written over as soon as it was sent.
func TestLargeFramesAreCopiedWhereNothingIsLent(t *testing.T) {
	router := openRouter(t, link.Options{PeerBytesMax: 64 << 20})
	sink := join(t, router.Link.Addr(), "sink")
	linktest.Until(t, "it is there", func() bool { return router.Count(link.Connected) == 1 }, router)
	body := bytes.Repeat([]byte("x"), 8<<20)
	want := append(zmtp.AppendHeader(nil, zmtp.Last, len(body)), body...)
	if err := router.Link.Send([]byte("sink"), body); err != nil {
		t.Fatal(err)
	}
	clear(body)
	reads(t, sink, want)
}

// What was sent before Close arrives, though the peer reads late, for Linger.
func TestLingerForASlowPeer(t *testing.T) {
	router := openRouter(t, link.Options{Linger: linktest.Patience})
	nc := join(t, router.Link.Addr(), "slow")
	linktest.Until(t, "it is there", func() bool { return router.Count(link.Connected) == 1 }, router)
	want := frame(zmtp.Last, strings.Repeat("x", 1<<20))
	for range 12 {
		if err := router.Link.Send([]byte("slow"), want[9:]); err != nil {
			t.Fatal(err)
		}
	}
	closed := make(chan error)
	attended = nil // Close is at it
	go func() { closed <- router.Host.Close() }()
	for range 12 {
		reads(t, nc, want)
	}
	ends(t, nc)
	_ = nc.Close()
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
}

// Links that are opened and closed leave neither goroutines nor files.
func TestNothingIsLeft(t *testing.T) {
	router := openRouter(t, link.Options{})
	nobody := linktest.FreePort(t, tcp)
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	client := zmtplink.New(nil)
	for range 200 {
		for _, at := range []string{nobody, router.Link.Addr()} {
			l, err := client.Open(link.Options{Role: link.Req, Endpoints: []string{at}, Monitor: true})
			if err != nil {
				t.Fatal(err)
			}
			if err := client.Wait(time.Millisecond); err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	linktest.Until(t, "all has ended", func() bool { return runtime.NumGoroutine() <= goroutines && openFiles(t) <= files }, router)
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestIPC(t *testing.T) {
	folder := t.TempDir()
	precious, stale := filepath.Join(folder, "precious"), filepath.Join(folder, "stale")
	if err := os.WriteFile(precious, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	if err := left.Close(); err != nil {
		t.Fatal(err)
	}
	h := linktest.NewHost(t, tcp, link.Router)
	if _, err := h.Open(link.Options{Role: link.Router, Endpoints: []string{"ipc://" + precious}}); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("a file that is no socket: %v", err)
	}
	if data, err := os.ReadFile(precious); err != nil || string(data) != "data" {
		t.Errorf("the file is gone: %v", err)
	}
	for _, at := range []string{"ipc://" + stale, "ipc://*", "ipc://@privateer-" + filepath.Base(folder)} {
		if strings.HasPrefix(at, "ipc://@") && runtime.GOOS != "linux" {
			continue // only Linux has names in no file system
		}
		router := linktest.Open(t, tcp, at, link.Options{Role: link.Router})
		dealer := linktest.Open(t, tcp, router.Link.Addr(), link.Options{Role: link.Dealer})
		linktest.Until(t, "a message goes out", func() bool { return dealer.TrySend("", "x") == nil }, dealer, router)
		linktest.Until(t, "it arrives", func() bool { return len(router.Data()) == 1 }, router)
		if err := router.Host.Close(); err != nil {
			t.Fatal(err)
		}
		path := strings.TrimPrefix(router.Link.Addr(), "ipc://")
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s is left", path)
		}
		if _, err := os.Lstat(filepath.Dir(path)); at == "ipc://*" && err == nil {
			t.Errorf("the folder of %s is left", path)
		}
	}
}

func TestEndpointErrors(t *testing.T) {
	h := linktest.NewHost(t, tcp, link.Router)
	for _, c := range []struct{ endpoint, want string }{
		{"tcp://192.0.2.1:5555", "no such address"},
		{"ipc:///no/such/directory/s", "directory does not exist"},
		{"tcp://127.0.0.1", "host:port"},
	} {
		_, err := h.Open(link.Options{Role: link.Router, Endpoints: []string{"tcp://127.0.0.1:0", c.endpoint}})
		if err == nil || !strings.HasPrefix(err.Error(), "bind "+c.endpoint+": ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.endpoint, err, c.want)
		}
	}
	_, err := h.Open(link.Options{Role: link.Dealer, Endpoints: []string{"tcp://127.0.0.1:1"}, Identity: []byte("\x00x")})
	if err == nil || !strings.Contains(err.Error(), "zero byte") {
		t.Errorf("a routing id that begins with a zero byte: %v", err)
	}
	any := linktest.Open(t, tcp, "tcp://*:*", link.Options{Role: link.Router})
	if !strings.HasPrefix(any.Link.Addr(), "tcp://0.0.0.0:") {
		t.Errorf("* is bound as %s", any.Link.Addr())
	}
	named := linktest.Open(t, tcp, "tcp://lo:0", link.Options{Role: link.Router})
	if !strings.HasPrefix(named.Link.Addr(), "tcp://127.0.0.1:") {
		t.Errorf("lo is bound as %s", named.Link.Addr())
	}
}
