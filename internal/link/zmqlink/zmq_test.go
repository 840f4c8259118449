package zmqlink_test

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/linktest"
)

// What only the links over ZeroMQ have: files, addresses, libzmq's habits.

func TestEndpointErrors(t *testing.T) {
	h := linktest.NewHost(t, tcp, link.Dealer)
	for _, c := range []struct {
		role           link.Role
		endpoint, want string
	}{
		{link.Router, "mem://x", "must start with tcp:// or ipc://"},
		{link.Router, "127.0.0.1:5555", "must start with"},
		{link.Router, "tcp://127.0.0.1", "host:port"},
		{link.Router, "tcp://::1:5555", "brackets"},
		{link.Router, "tcp://127.0.0.1:http", `port "http"`},
		{link.Router, "tcp://127.0.0.1:65536", `port "65536"`},
		{link.Router, "tcp://127.0.0.1:-1", `port "-1"`},
		{link.Router, "tcp://localhost:5555", `host "localhost" cannot be bound`},
		{link.Router, "tcp://:5555", "cannot be bound"},
		{link.Router, "tcp://[127.0.0.1]:5555", "not an IPv6 address"},
		{link.Router, "tcp://192.0.2.1:5555", "no such address"},
		{link.Router, "ipc://", "path is missing"},
		{link.Router, "ipc:///no/such/directory/s", "directory does not exist"},
		{link.Router, "ipc:///" + strings.Repeat("x", 107), "108 bytes"},
		{link.Dealer, "tcp://*:5555", "neither an IP address nor a host name"},
		{link.Dealer, "tcp://:5555", "neither"},
		{link.Dealer, "tcp://a b:5555", "neither"},
		{link.Dealer, "tcp://a;b:5555", "neither"},
		{link.Dealer, "tcp://127.0.0.1:0", "can only be bound"},
		{link.Dealer, "tcp://127.0.0.1:*", "can only be bound"},
		{link.Dealer, "ipc://*", "can only be bound"},
	} {
		_, err := h.Open(link.Options{Role: c.role, Endpoints: []string{c.endpoint}, Monitor: true})
		if err == nil || !strings.HasPrefix(err.Error(), c.role.Verb()+" "+c.endpoint+": ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: error %v, want one with %q", c.role, c.endpoint, err, c.want)
		}
	}
	// None of them has left anything behind in the host.
	if _, err := h.Open(link.Options{Role: link.Router, Endpoints: []string{"tcp://*:*"}}); err != nil {
		t.Fatal(err)
	}
	if err := h.Wait(0); err != nil {
		t.Fatal(err)
	}
}

func TestIPv6(t *testing.T) {
	h := linktest.NewHost(t, tcp, link.Dealer)
	l, err := h.Open(link.Options{Role: link.Router, Endpoints: []string{"tcp://[::1]:0"}})
	if listener, e := net.Listen("tcp6", "[::1]:0"); e != nil {
		// A machine without IPv6 can only say so.
		if err == nil || !strings.Contains(err.Error(), "bind tcp://[::1]:0: ") {
			t.Fatalf("no IPv6 here (%v), but Open returned %v", e, err)
		}
		return
	} else if e := listener.Close(); e != nil {
		t.Fatal(e)
	}
	if err != nil {
		t.Fatal(err)
	}
	router := linktest.NewEnd(t, h, l)
	if !strings.HasPrefix(l.Addr(), "tcp://[::1]:") {
		t.Fatalf("Addr %s", l.Addr())
	}
	dealer := linktest.Open(t, tcp, l.Addr(), link.Options{Role: link.Dealer})
	linktest.Until(t, "a message goes out", func() bool { return dealer.TrySend("", "x") == nil }, dealer, router)
	linktest.Until(t, "it arrives", func() bool { return len(router.Data()) == 1 }, router)
}

func TestHostNameIsResolved(t *testing.T) {
	router := linktest.Open(t, tcp, "tcp://127.0.0.1:0", link.Options{Role: link.Router})
	at := strings.Replace(router.Link.Addr(), "127.0.0.1", "localhost", 1)
	dealer := linktest.Open(t, tcp, at, link.Options{Role: link.Dealer})
	linktest.Until(t, "a message goes out", func() bool { return dealer.TrySend("", "x") == nil }, dealer, router)
}

func TestIPCLeavesOtherFilesAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(path, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := linktest.NewHost(t, tcp, link.Dealer).Open(link.Options{Role: link.Router, Endpoints: []string{"ipc://" + path}})
	if err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("error %v", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "data" {
		t.Fatalf("the file is gone: %v", err)
	}
}

func TestIPCSocketLeftBehindIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stale")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	linktest.Open(t, tcp, "ipc://"+path, link.Options{Role: link.Router})
}

// Without a monitor the link cannot tell "not connected" from "full".
func TestNotConnectedWithoutMonitor(t *testing.T) {
	dealer := linktest.Open(t, tcp, linktest.FreePort(t, tcp), link.Options{Role: link.Dealer})
	linktest.ExpectError(t, dealer.TrySend("", "x"), link.ErrFull)
}

// A connection whose handshake never succeeds, such as a port scan, is no event.
func TestFailedHandshakeIsNoEvent(t *testing.T) {
	router := linktest.Open(t, tcp, "tcp://127.0.0.1:0", link.Options{Role: link.Router, Monitor: true})
	address := strings.TrimPrefix(router.Link.Addr(), "tcp://")
	for _, greeting := range []string{"", "GET / HTTP/1.1\r\n\r\n", strings.Repeat("\xff", 100)} {
		connection, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := connection.Write([]byte(greeting)); err != nil {
			t.Fatal(err)
		}
		if err := connection.Close(); err != nil {
			t.Fatal(err)
		}
	}
	dealer := linktest.Open(t, tcp, router.Link.Addr(), link.Options{Role: link.Dealer, Monitor: true})
	linktest.Until(t, "a real peer connects", func() bool { return router.Count(link.Connected) > 0 }, router, dealer)
	if err := dealer.Link.Close(); err != nil {
		t.Fatal(err)
	}
	linktest.Until(t, "the real peer goes", func() bool { return router.Count(link.Disconnected) > 0 }, router)
	linktest.Waits(t, router, 20*time.Millisecond, 0)
	router.Recv(10)
	if len(router.Read) != 2 {
		t.Fatalf("events %v, want one Connected and one Disconnected", router.Read)
	}
}

// A Recv that ended at its limit does not know that nothing is left.
func TestRecvAtItsLimitIsComeBackTo(t *testing.T) {
	router, dealer := linktest.Pair(t, tcp, link.Options{}, link.Options{})
	dealer.Send("", "the only one")
	linktest.Until(t, "it arrives", func() bool { linktest.Waits(t, router, time.Millisecond, 0); return router.Recv(1) == 1 })
	linktest.Waits(t, router, linktest.Long, 0)
}

// libzmq's I/O thread reports events with a call that blocks once nobody reads
// them: a loop that is busy for long must not bring every connection to a halt.
func TestUnreadEventsDoNotBlockConnections(t *testing.T) {
	router := linktest.Open(t, tcp, "tcp://127.0.0.1:0", link.Options{Role: link.Router, Monitor: true})
	address := strings.TrimPrefix(router.Link.Addr(), "tcp://")
	for range 1500 { // two events each; libzmq's own bound is 2000
		connection, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if err := connection.Close(); err != nil {
			t.Fatal(err)
		}
	}
	dealer := linktest.Open(t, tcp, router.Link.Addr(), link.Options{Role: link.Dealer, Monitor: true})
	linktest.Until(t, "a real peer connects", func() bool { return dealer.Count(link.Connected) == 1 }, dealer)
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// A client that times out opens a fresh REQ socket each time: none may leave
// anything open, with the router there or not.
func TestReqLinksLeaveNoFilesOpen(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Fatal("this test counts open files in /proc")
	}
	router := linktest.Open(t, tcp, "tcp://127.0.0.1:0", link.Options{Role: link.Router, Monitor: true})
	nobody := linktest.FreePort(t, tcp)
	client := linktest.NewHost(t, tcp, link.Dealer)
	round := func(n int) {
		for range n {
			for _, at := range []string{nobody, router.Link.Addr()} {
				l, err := client.Open(link.Options{Role: link.Req, Endpoints: []string{at}, Monitor: true, Identity: []byte(at)})
				if err != nil {
					t.Fatal(err)
				}
				if err := client.Wait(0); err != nil {
					t.Fatal(err)
				}
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	settle := func(most int) {
		linktest.Until(t, "files are closed again", func() bool { return openFiles(t) <= most }, router)
	}
	round(1) // starts libzmq's threads, which have files of their own
	before := openFiles(t)
	round(1000)
	settle(before)
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	settle(before - 1)
}

func TestHundredsOfLinksAtOnce(t *testing.T) {
	router := linktest.Open(t, tcp, "tcp://127.0.0.1:0", link.Options{Role: link.Router})
	client := linktest.NewHost(t, tcp, link.Dealer)
	links := make([]*linktest.End, 400)
	for i := range links {
		l, err := client.Open(link.Options{Role: link.Req, Endpoints: []string{router.Link.Addr()}, Monitor: true})
		if err != nil {
			t.Fatalf("link %d: %v", i, err)
		}
		links[i] = linktest.NewEnd(t, client, l)
	}
	asked := 0
	linktest.Until(t, "each has sent its request", func() bool {
		linktest.Waits(t, links[0], time.Millisecond, 0)
		for asked < len(links) && links[asked].TrySend("", "q") == nil {
			asked++
		}
		return asked == len(links)
	}, router)
	linktest.Until(t, "all requests arrive", func() bool { return len(router.Data()) == len(links) }, router)
	for _, m := range router.Data() {
		router.Send(string(m.Peer), "", "a")
	}
	linktest.Until(t, "all replies arrive", func() bool {
		linktest.Waits(t, links[0], time.Millisecond, 0)
		for _, l := range links {
			if l.Recv(10); len(l.Data()) != 1 {
				return false
			}
		}
		return true
	}, router)
}
