package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/broker"
	"github.com/privateer-mq/privateer/worker"
)

// A serviceManager is the socket that systemd would listen on, in a folder where
// a broker's may be too.
type serviceManager struct {
	t         *testing.T
	conn      *net.UnixConn
	dir, path string
}

func newServiceManager(t *testing.T) *serviceManager {
	t.Helper()
	dir, err := os.MkdirTemp("", "notify") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "socket")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &serviceManager{t: t, conn: conn, dir: dir, path: path}
}

// next is what it is told next.
func (m *serviceManager) next() string {
	m.t.Helper()
	if err := m.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		m.t.Fatal(err)
	}
	b := make([]byte, 4096)
	n, err := m.conn.Read(b)
	if err != nil {
		m.t.Fatalf("the service manager is told nothing: %v", err)
	}
	return string(b[:n])
}

// anyBroker starts a broker with that environment, as a service manager would.
func anyBroker(t *testing.T, front, back string, env ...string) (*exec.Cmd, *watched) {
	t.Helper()
	cmd, log := exec.Command("privateer", "broker", "--frontend", front, "--backend", back,
		"--admin", "127.0.0.1:0", "--log-format", "json"), newWatched()
	cmd.Env, cmd.Stderr = append(os.Environ(), append(env, "GORACE=atexit_sleep_ms=0")...), log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // most often it is gone
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the broker's log:\n%s", log.String())
		}
	})
	return cmd, log
}

// TestServiceManager: a real broker says READY=1 once both ports are bound, then
// WATCHDOG=1 again and again, and STOPPING=1 when it drains, whoever asked for that.
func TestServiceManager(t *testing.T) {
	drains := map[string]func(t *testing.T, p *os.Process, log string) error{
		"signal": func(_ *testing.T, p *os.Process, _ string) error { return p.Signal(syscall.SIGTERM) },
		"admin": func(t *testing.T, _ *os.Process, log string) error {
			return exec.CommandContext(t.Context(), "privateer", "drain", "--admin", adminOf(log)).Run()
		},
	}
	for name, drain := range drains {
		t.Run(name, func(t *testing.T) {
			m := newServiceManager(t)
			front, back := filepath.Join(m.dir, "front"), filepath.Join(m.dir, "back")
			cmd, log := anyBroker(t, "ipc://"+front, "ipc://"+back, "NOTIFY_SOCKET="+m.path, "WATCHDOG_USEC=150000")
			if got := m.next(); got != "READY=1" {
				t.Fatalf("told %q, want READY=1", got)
			}
			for _, path := range []string{front, back} {
				conn, err := net.Dial("unix", path)
				if err != nil {
					t.Fatalf("ready, and not bound: %v", err)
				}
				conn.Close()
			}
			for range 3 {
				if got := m.next(); got != "WATCHDOG=1" {
					t.Fatalf("told %q, want WATCHDOG=1", got)
				}
			}
			if err := drain(t, cmd.Process, log.String()); err != nil {
				t.Fatal(err)
			}
			got := m.next()
			for got == "WATCHDOG=1" { // sent before
				got = m.next()
			}
			if got != "STOPPING=1" {
				t.Fatalf("told %q, want STOPPING=1", got)
			}
			if err := cmd.Wait(); err != nil {
				t.Fatalf("the broker ended with %v", err)
			}
			if strings.Contains(log.String(), `"level":"warn"`) {
				t.Errorf("it warns:\n%s", log.String())
			}
		})
	}
}

// TestNoServiceManager: without a socket nothing is told and nothing is said;
// with one that is not there it is said, and the broker serves all the same.
func TestNoServiceManager(t *testing.T) {
	for socket, want := range map[string]int{"": 0, "/nowhere/socket": 2} { // READY=1, STOPPING=1
		cmd, log := anyBroker(t, "tcp://127.0.0.1:0", "tcp://127.0.0.1:0", "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=", "WATCHDOG_PID=")
		front, _, ok := log.endpoints(nil)
		if !ok {
			t.Fatal("the broker does not listen")
		}
		if out, err := exec.CommandContext(t.Context(), "privateer", "ping", "--broker", front).CombinedOutput(); err != nil {
			t.Errorf("ping: %v: %s", err, out)
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the broker ended with %v", err)
		}
		if got := strings.Count(log.String(), "see NOTIFY_SOCKET in the environment"); got != want {
			t.Errorf("NOTIFY_SOCKET=%s: %d warnings, want %d:\n%s", socket, got, want, log.String())
		}
	}
}

// A gate is a log that can be held: then whoever writes to it stands still.
type gate struct {
	mu   sync.Mutex
	held chan struct{}
}

func (g *gate) Write(b []byte) (int, error) {
	g.mu.Lock()
	held := g.held
	g.mu.Unlock()
	if held != nil {
		<-held
	}
	return len(b), nil
}

func (g *gate) hold() (release func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = make(chan struct{})
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		close(g.held)
		g.held = nil
	}
}

// TestWatchdogIsTheLoops: while the loop is stuck, here in writing its log,
// nothing tells that the broker lives, though all else in the process runs.
func TestWatchdogIsTheLoops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const every = time.Second
		log := &gate{}
		b, err := broker.New(broker.Config{Frontends: []string{"mem://watchdog-front"}, Backends: []string{"mem://watchdog-back"}, Logger: zerolog.New(log)})
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		told := map[string]int{}
		end := follow(b, every, func(state string) {
			mu.Lock()
			defer mu.Unlock()
			told[state]++
		})
		alive := func() int {
			mu.Lock()
			defer mu.Unlock()
			return told["WATCHDOG=1"]
		}
		// during is how often it is told in so many intervals.
		during := func(intervals int) int {
			before := alive()
			time.Sleep(time.Duration(intervals) * every) // virtual time
			return alive() - before
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 2)
		go func() { ended <- b.Run(ctx) }()
		<-b.Ready()
		time.Sleep(every / 2) // between two ticks
		if n := during(10); n != 10 {
			t.Errorf("told %d times in 10 intervals, want 10", n)
		}
		release := log.hold()
		w, err := worker.New(worker.Config{Brokers: []string{"mem://watchdog-back"}}, worker.HandlerFunc(
			func(context.Context, *worker.Request) ([]byte, error) { return nil, nil }))
		if err != nil {
			t.Fatal(err)
		}
		go func() { ended <- w.Run(ctx) }() // that a worker has come is logged
		if n := during(10); n != 0 {
			t.Errorf("told %d times that the broker lives, while its loop was stuck", n)
		}
		release()
		during(1) // the answer and the tick that were due
		if n := during(10); n != 10 {
			t.Errorf("told %d times in 10 intervals after that, want 10", n)
		}
		stop()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		end()
		if told["READY=1"] != 1 || told["STOPPING=1"] != 1 {
			t.Errorf("told %v, want READY=1 and STOPPING=1 once each", told)
		}
	})
}
