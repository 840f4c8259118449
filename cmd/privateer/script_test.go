package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience bounds every wait of the scripts; a wait that long has failed.
const patience = 30 * time.Second

// exits CODE COMMAND...: runs a command and wants that exit code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var ee *exec.ExitError
	got := 0
	switch {
	case errors.As(err, &ee):
		got = ee.ExitCode()
	default:
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// fails CODE REGEXP COMMAND...: wants that exit code, nothing on stdout and
// one line on stderr, which matches.
func fails(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: fails CODE REGEXP COMMAND [ARG...]")
	}
	exits(ts, false, append([]string{args[0]}, args[2:]...))
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("stdout is %q, want nothing", out)
	}
	said := ts.ReadFile("stderr")
	if strings.Count(said, "\n") != 1 || !strings.HasSuffix(said, "\n") {
		ts.Fatalf("stderr is %q, want one line", said)
	}
	if !regexp.MustCompile("(?m)" + args[1]).MatchString(said) {
		ts.Fatalf("stderr is %q, want a match of %q", said, args[1])
	}
}

type processesKey struct{}

// A process runs beside a script.
type process struct {
	cmd    *exec.Cmd
	stderr *watched
	stdout *watched // news of it is news of stderr
	done   chan struct{}
	err    error
}

// start NAME COMMAND...: starts a command and leaves it running. A broker is
// waited for: $FRONT and $BACK are its endpoints then.
func start(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: start NAME COMMAND [ARG...]")
	}
	p := &process{cmd: exec.Command(args[1], args[2:]...), stderr: newWatched(), done: make(chan struct{})}
	p.cmd.Dir = ts.MkAbs(".")
	p.cmd.Env = scriptEnv(ts)
	p.stdout = &watched{new: p.stderr.new}
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	ts.Check(p.cmd.Start())
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	ts.Value(processesKey{}).(map[string]*process)[args[0]] = p
	ts.Defer(func() {
		_ = p.cmd.Process.Kill() // most often it is gone
		<-p.done
		ts.Logf("stderr of %s:\n%s", args[0], p.stderr.String())
	})
	if len(args) < 3 || args[2] != "broker" {
		return
	}
	front, back, ok := p.stderr.endpoints(p.done)
	if !ok {
		ts.Fatalf("the broker does not listen:\n%s", p.stderr.String())
	}
	ts.Setenv("FRONT", front)
	ts.Setenv("BACK", back)
}

// scriptEnv is the script's environment: what ts.Exec would give.
func scriptEnv(ts *testscript.TestScript) []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "PRIVATEER_") && !strings.HasPrefix(kv, "HOME=") {
			env = append(env, kv)
		}
	}
	return append(env, "WORK="+ts.Getenv("WORK"), "HOME="+ts.Getenv("HOME"))
}

// signal NAME SIGNAL [CODE]: sends a signal to a started process. With CODE it
// waits for its end, wants that exit code ("any" is any), and puts its stdout
// into the file NAME.out.
func signalTo(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: signal NAME SIGNAL [CODE]")
	}
	p := ts.Value(processesKey{}).(map[string]*process)[args[0]]
	signals := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL}
	ts.Check(p.cmd.Process.Signal(signals[args[1]]))
	if len(args) == 2 {
		return
	}
	select {
	case <-p.done:
	case <-time.After(patience):
		ts.Fatalf("%s does not end:\n%s", args[0], p.stderr.String())
	}
	if got := strconv.Itoa(p.cmd.ProcessState.ExitCode()); args[2] != "any" && got != args[2] {
		ts.Fatalf("%s: exit code %s, want %s:\n%s", args[0], got, args[2], p.stderr.String())
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".out"), []byte(p.stdout.String()), 0o666))
}

// saw NAME REGEXP: waits until a started process says, on stderr or stdout, what matches.
func saw(ts *testscript.TestScript, _ bool, args []string) {
	p := ts.Value(processesKey{}).(map[string]*process)[args[0]]
	want, timeout := regexp.MustCompile(args[1]), time.After(patience)
	for !want.MatchString(p.stderr.String() + p.stdout.String()) {
		select {
		case <-p.stderr.new:
		case <-p.done:
			if !want.MatchString(p.stderr.String() + p.stdout.String()) {
				ts.Fatalf("%s ended and said %q, want a match of %q", args[0], p.stderr.String(), want)
			}
		case <-timeout:
			ts.Fatalf("%s said %q, want a match of %q", args[0], p.stderr.String(), want)
		}
	}
}

// await FILE [REGEXP]: waits until a file is there, and matches.
func await(ts *testscript.TestScript, _ bool, args []string) {
	want := regexp.MustCompile(strings.Join(args[1:], " "))
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		b, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && len(b) > 0 && want.Match(b) {
			return
		}
	}
	b, _ := os.ReadFile(ts.MkAbs(args[0]))
	ts.Fatalf("%s is %q, want a match of %q", args[0], b, want)
}

// gone FILE: waits until no process with one of the ids in FILE is left.
func gone(ts *testscript.TestScript, _ bool, args []string) {
	for _, word := range strings.Fields(ts.ReadFile(args[0])) {
		pid, err := strconv.Atoi(word)
		ts.Check(err)
		end := time.Now().Add(patience)
		for alive(pid) {
			if time.Now().After(end) {
				ts.Fatalf("process %d is still there", pid)
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// alive reports whether a process runs; one that only waits to be reaped by
// its parent does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
		_, state, _ := bytes.Cut(stat, []byte(") "))
		return !bytes.HasPrefix(state, []byte("Z"))
	}
	state, err := exec.Command("ps", "-o", "state=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && !bytes.HasPrefix(bytes.TrimSpace(state), []byte("Z"))
}

// A watched is a process's stderr, looked at while it is written.
type watched struct {
	mu  sync.Mutex
	buf bytes.Buffer
	new chan struct{} // one at most: something was written
}

func newWatched() *watched { return &watched{new: make(chan struct{}, 1)} }

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case w.new <- struct{}{}:
	default:
	}
	return w.buf.Write(b)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

// endpoints waits until the broker says where it listens.
func (w *watched) endpoints(over <-chan struct{}) (front, back string, ok bool) {
	timeout := time.After(patience)
	for {
		for line := range strings.Lines(w.String()) {
			var entry struct{ Frontend, Backend string }
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Frontend != "" {
				return entry.Frontend, entry.Backend, true
			}
		}
		select {
		case <-w.new:
		case <-over:
			return "", "", false
		case <-timeout:
			return "", "", false
		}
	}
}
