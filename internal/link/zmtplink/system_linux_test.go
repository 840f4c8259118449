package zmtplink

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/privateer-mq/privateer/internal/link"
)

// The options that nothing else here would notice the loss of.
func TestSocketOptions(t *testing.T) {
	h := New(nil)
	defer h.Close()
	router, err := h.Open(link.Options{Role: link.Router, Endpoints: []string{"tcp://127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	dealer, err := h.Open(link.Options{Role: link.Dealer, Endpoints: []string{router.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []link.Link{router, dealer} {
		c := onlyConn(t, l.(*socket))
		for name, o := range map[string]struct{ level, option, want int }{
			"TCP_USER_TIMEOUT": {unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 30_000},
			"TCP_NODELAY":      {unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
			"SO_KEEPALIVE":     {unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			"TCP_KEEPIDLE":     {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15},
			"TCP_KEEPINTVL":    {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 5},
			"TCP_KEEPCNT":      {unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3},
		} {
			var got int
			var gotErr error
			ask := func(fd uintptr) { got, gotErr = unix.GetsockoptInt(int(fd), o.level, o.option) }
			err := error(nil)
			if c.isPolled() {
				ask(uintptr(c.polled.fd))
			} else {
				err = c.raw.Control(ask)
			}
			if err != nil || gotErr != nil || got != o.want {
				t.Errorf("%s of a %s is %d (%v, %v), want %d", name, l.(*socket).options.Role, got, err, gotErr, o.want)
			}
		}
	}
}

// The file of a socket has its mode as soon as it is there, whatever the umask.
func TestModeIsThereFromTheStart(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	path := filepath.Join(t.TempDir(), "s")
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error { return setMode(raw, 0o640) }}
	l, err := config.Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Fatalf("mode %v (%v)", info.Mode(), err)
	}
}

// onlyConn waits for the one connection of s.
func onlyConn(t *testing.T, s *socket) *conn {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		s.mu.Lock()
		for c := range s.conns {
			if c.up {
				s.mu.Unlock()
				return c
			}
		}
		s.mu.Unlock()
		<-time.After(time.Millisecond)
	}
	t.Fatal("no connection")
	return nil
}

// Accepting pauses when four fifths of the descriptors are taken, and goes on
// when three fifths are.
func TestFewDescriptors(t *testing.T) {
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	limited := syscall.Rlimit{Cur: 200, Max: before.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limited); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	}()
	h := New(nil)
	defer h.Close()
	l, err := h.Open(link.Options{Role: link.Router, Endpoints: []string{"tcp://127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	count := func() link.Stats { return l.(link.Observed).Stats() }
	until := func(what string, done func() bool) {
		t.Helper()
		for end := time.Now().Add(patience); !done(); {
			if time.Now().After(end) {
				t.Fatalf("never: %s (%+v)", what, count())
			}
			<-time.After(time.Millisecond)
		}
	}
	var conns []net.Conn
	defer func() {
		for _, nc := range conns {
			_ = nc.Close()
		}
	}()
	dial := func() {
		nc, err := net.Dial("tcp", l.Addr()[len("tcp://"):])
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, nc)
	}
	for n := 0; !count().AcceptingPause; n++ { // each takes a descriptor on both sides
		dial()
		until("it is accepted, or accepting pauses", func() bool { return count().AcceptingPause || count().Accepted == uint64(n+1) })
	}
	accepted := count().Accepted
	if accepted < 40 || accepted > 80 {
		t.Errorf("accepting has paused after %d connections", accepted)
	}
	dial() // it waits in the kernel
	if st := count(); st.Accepted != accepted || st.AcceptingPauses != 1 {
		t.Errorf("%+v", st)
	}
	for _, nc := range conns[:30] {
		_ = nc.Close()
	}
	until("accepting goes on", func() bool { return !count().AcceptingPause && count().Accepted == accepted+1 })
}

// What was Put and cannot be written is reported, by its numbers.
func TestFailedWriteIsReported(t *testing.T) {
	for name, h := range map[string]link.Host{"polled": New(nil), "a goroutine": Netpolled()} {
		t.Run(name, func(t *testing.T) {
			defer h.Close()
			l, err := h.Open(link.Options{Role: link.Router, Endpoints: []string{"tcp://127.0.0.1:0"}})
			if err != nil {
				t.Fatal(err)
			}
			peers := New(func() {})
			defer peers.Close()
			for _, id := range []string{"gone", "here"} {
				if _, err := peers.Open(link.Options{Role: link.Dealer, Endpoints: []string{l.Addr()}, Identity: []byte(id)}); err != nil {
					t.Fatal(err)
				}
			}
			s := l.(*socket)
			var gone *conn
			for end := time.Now().Add(patience); gone == nil; <-time.After(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("they do not connect")
				}
				if err := h.Wait(time.Millisecond); err != nil {
					t.Fatal(err)
				}
				s.mu.Lock()
				if len(s.peers) == 2 && (h.(*host).poller == nil || s.peers["gone"].isPolled() && s.peers["gone"].polled.joined) {
					gone = s.peers["gone"]
				}
				s.mu.Unlock()
			}
			if gone.isPolled() {
				err = unix.Shutdown(gone.polled.fd, unix.SHUT_WR)
			} else {
				err = gone.net.(*net.TCPConn).CloseWrite()
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, peer := range []string{"here", "gone", "here", "gone", "gone"} {
				l.Put([]byte(peer), []byte("x"))
			}
			var failed []int
			l.Flush(func(number int, err error) {
				if !errors.Is(err, link.ErrUnreachable) {
					t.Errorf("%d: %v", number, err)
				}
				failed = append(failed, number)
			})
			if want := []int{1, 3, 4}; !slices.Equal(failed, want) {
				t.Errorf("reported %v, want %v", failed, want)
			}
		})
	}
}
