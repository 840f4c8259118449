package main

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A pair is a broker and a worker of service echo, started through a shell line, with
// stderr to a file of the test's.
type pair struct {
	front, back    string
	broker, worker *exec.Cmd
}

// startPair starts them and waits until they serve. before is what their shells do first.
func startPair(t *testing.T, stderr *os.File, before string, brokerArgs ...string) *pair {
	t.Helper()
	dir, err := os.MkdirTemp("", "pair") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &pair{front: "ipc://" + filepath.Join(dir, "front"), back: "ipc://" + filepath.Join(dir, "back")}
	start := func(args ...string) *exec.Cmd {
		cmd := exec.Command("sh", append([]string{"-c", before + `exec privateer "$@"`, "sh"}, args...)...)
		cmd.Stderr, cmd.Env = stderr, append(os.Environ(), "GORACE=atexit_sleep_ms=0")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill() // most often it is gone
			_ = cmd.Wait()
		})
		return cmd
	}
	p.broker = start(append([]string{"broker", "--frontend", p.front, "--backend", p.back, "--heartbeat", "100ms"}, brokerArgs...)...)
	p.worker = start("worker", "--broker", p.back, "--service", "echo", "--echo")
	p.ask(t)
	return p
}

func (p *pair) ask(t *testing.T) {
	t.Helper()
	out, err := exec.Command("privateer", "request", "--broker", p.front, "echo", "hello").CombinedOutput()
	if err != nil {
		t.Fatalf("request: %v: %s", err, out)
	}
}

// joinAndLeave makes the broker log: a worker comes and goes.
func (p *pair) joinAndLeave(t *testing.T) {
	t.Helper()
	w := exec.Command("privateer", "worker", "--broker", p.back, "--service", "passing", "--echo", "--log-level", "off")
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("privateer", "request", "--broker", p.front, "passing", "hello").CombinedOutput(); err != nil {
		t.Errorf("request: %v: %s", err, out)
	}
	_ = w.Process.Signal(syscall.SIGTERM)
	if err := w.Wait(); err != nil {
		t.Errorf("the passing worker ended with %v", err)
	}
}

// end wants both to end in good order.
func (p *pair) end(t *testing.T) {
	t.Helper()
	for name, cmd := range map[string]*exec.Cmd{"worker": p.worker, "broker": p.broker} {
		ended(t, name, cmd, syscall.SIGTERM)
	}
}

// ended sends a signal and wants the process to end in good order.
func ended(t *testing.T, name string, cmd *exec.Cmd, sig syscall.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(sig); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("the %s ended with %v", name, err)
		}
	case <-time.After(patience):
		t.Fatalf("the %s does not end", name)
	}
}

// TestLogReaderGone: who reads the log dies; broker and worker work on, whether
// SIGPIPE was ignored when they were started or not, and count what was lost.
func TestLogReaderGone(t *testing.T) {
	for name, before := range map[string]string{"default": "", "ignored": `trap "" PIPE; `} {
		t.Run(name, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			p := startPair(t, w, before, "--admin", "127.0.0.1:0", "--log-format", "json")
			w.Close()
			admin := ""
			for log := bufio.NewReader(r); admin == ""; {
				line, err := log.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				admin = adminOf(line)
			}
			r.Close()
			p.joinAndLeave(t)
			p.ask(t)
			res, err := http.Get("http://" + admin + "/metrics")
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || !regexp.MustCompile(`(?m)^privateer_log_lines_lost_total [1-9]`).Match(text) {
				t.Errorf("metrics do not count lost lines: %v", err)
			}
			p.end(t)
		})
	}
}

// TestLogStandsStill: nobody reads the log, and it is full. Broker and worker serve,
// keep each other alive, and end at the first signal.
func TestLogStandsStill(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := w.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for err = nil; err == nil; { // until it is full
		_, err = w.Write(make([]byte, 1<<10))
	}
	w.Fd() // it blocks from here on, as what a process inherits does
	p := startPair(t, w, "", "--log-level", "debug")
	w.Close()
	p.joinAndLeave(t)
	for range 3 { // the first fills no queue
		p.ask(t)
	}
	p.end(t)
}

// TestHangup: SIGHUP opens the log file anew, which loses nothing that is renamed
// before; without a file, or where it was ignored, it does nothing. It never ends a process.
func TestHangup(t *testing.T) {
	// Where this test was started by nohup, they would ignore it, too.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	log := filepath.Join(t.TempDir(), "log")
	p := startPair(t, nil, "", "--log-file", log)
	if err := os.Rename(log, log+".1"); err != nil {
		t.Fatal(err)
	}
	for _, cmd := range []*exec.Cmd{p.broker, p.worker} {
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	awaitText(t, log, "log file opened anew")
	p.joinAndLeave(t)
	p.end(t)
	before, now := awaitText(t, log+".1", "broker listening"), awaitText(t, log, "broker stopped")
	if strings.Contains(before, "worker_left") || !strings.Contains(now, "worker_left") {
		t.Errorf("before:\n%s\nafter:\n%s", before, now)
	}
}

// TestHangupIgnored: what nohup started is not told of SIGHUP.
func TestHangupIgnored(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	p := startPair(t, nil, `trap "" HUP; `, "--log-file", log)
	for _, cmd := range []*exec.Cmd{p.broker, p.worker} {
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	p.joinAndLeave(t)
	p.end(t)
	if text := awaitText(t, log, "broker stopped"); strings.Contains(text, "SIGHUP") {
		t.Errorf("it was told:\n%s", text)
	}
}

// awaitText waits until a file holds a text, and returns the whole of it.
func awaitText(t *testing.T, path, want string) string {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), want) {
			return string(b)
		}
		if time.Now().After(end) {
			t.Fatalf("%s is %q, %v; want %q in it", path, b, err, want)
		}
	}
}
