package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/pulse"
)

const sigterm = syscall.SIGTERM

// A process is a child of the test. It does not outlive it.
type process struct {
	t      *testing.T
	name   string
	cmd    *exec.Cmd
	log    *journal     // its stderr
	stdout bytes.Buffer // to be read after its end
	done   chan struct{}
}

// start starts a process whose log is kept, and printed should the test fail.
func start(t *testing.T, name string, env []string, path string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: exec.Command(path, args...), log: newJournal(), done: make(chan struct{})}
	p.cmd.Env = append(append(os.Environ(), "GORACE=halt_on_error=1 atexit_sleep_ms=0"), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, p.log
	p.cmd.WaitDelay = 5 * time.Second
	if err := spawn(p.cmd); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // ProcessState says it
		close(p.done)
	}()
	t.Cleanup(p.end)
	return p
}

// end kills what still runs, and looks for a crash in its log.
func (p *process) end() {
	p.kill()
	if why := p.log.crash(); why != "" {
		p.t.Errorf("%s crashed: %s", p.name, why)
	}
	if p.t.Failed() {
		p.t.Logf("log of %s, pid %d, %v:\n%s", p.name, p.pid(), p.cmd.ProcessState, p.log.tail())
	}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// signal sends a signal to a process that must be alive.
func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%v to %s: %v", s, p.name, err)
	}
}

// kill ends the process with SIGKILL, if it still lives, and reaps it.
func (p *process) kill() {
	p.t.Helper()
	_ = p.cmd.Process.Kill() // it may have ended
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Errorf("%s does not die of SIGKILL", p.name)
	}
}

// freeze stops the process with SIGSTOP, and returns when it stands still.
func (p *process) freeze() {
	p.t.Helper()
	p.signal(syscall.SIGSTOP)
	eventually(p.t, patience, p.name+" stands still", func() bool { return standsStill(p.pid()) })
}

func (p *process) thaw() { p.t.Helper(); p.signal(syscall.SIGCONT) }

// exitCode waits for the end of the process.
func (p *process) exitCode() int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatalf("%s does not end", p.name)
		return -1
	}
}

func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return !errors.Is(p.cmd.Process.Signal(syscall.Signal(0)), os.ErrProcessDone)
	}
}

// privateer runs a command of the binary to its end.
func privateer(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	p := start(t, "privateer "+args[0], nil, binary, args...)
	code = p.exitCode()
	return p.stdout.String(), p.log.tail(), code
}

// A journal takes a process's log and counts its events: how often each state
// was logged, in all and of each request.
type journal struct {
	mu      sync.Mutex
	rest    []byte // the beginning of a line
	lines   []string
	told    []event // those of lines that have a state, in order
	count   map[string]int
	listens entry
}

// An entry is what tests want to know of a line of log.
type entry struct {
	State      string
	ID         string `json:"request_id"`
	Frontend   string
	Backend    string
	Admin      string
	Transport  string
	Suppressed int
}

// stoodStill counts what the processes say of themselves: that they stood still.
var stoodStill atomic.Int64

// steady is pulse.Steady, for what hangs on other processes of the tests as well: it
// is tried again where one of them says that it stood still.
func steady(try func() (ok bool)) {
	for range 3 {
		before, ok := stoodStill.Load(), false
		pulse.Steady(func() bool {
			ok = try()
			return ok
		})
		if ok || stoodStill.Load() == before {
			return
		}
	}
}

func newJournal() *journal { return &journal{count: map[string]int{}} }

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.rest = append(j.rest, b...)
	for {
		line, rest, whole := bytes.Cut(j.rest, []byte("\n"))
		if !whole {
			return len(b), nil
		}
		j.take(line)
		j.rest = rest
	}
}

func (j *journal) take(line []byte) {
	j.lines = append(j.lines, string(line))
	var told event // read once: whoever waits for one looks at all again and again
	if json.Unmarshal(line, &told) == nil && told.State != "" {
		j.told = append(j.told, told)
	}
	var e entry
	if json.Unmarshal(line, &e) != nil || e.State == "" {
		return
	}
	if e.State == "paused" {
		stoodStill.Add(1)
	}
	if e.Suppressed > 0 { // a line that stands for so many
		j.count[e.State] += e.Suppressed
		return
	}
	j.count[e.State]++
	j.count[e.State+" "+e.ID]++
	if e.State == "listening" {
		j.listens = e
	}
}

// seen is how often state was logged.
func (j *journal) seen(state string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.count[state]
}

// seenOf is how often state was logged of the request id.
func (j *journal) seenOf(state, id string) int { return j.seen(state + " " + id) }

// listening returns the endpoints a broker says that it has bound.
func (j *journal) listening() (front, back string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.listens.Frontend, j.listens.Backend
}

// crash returns the first line of a crash, "" if there is none.
func (j *journal) crash() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, line := range j.lines {
		for _, sign := range []string{"WARNING: DATA RACE", "panic: ", "fatal error: ", "Assertion failed"} {
			if strings.HasPrefix(line, sign) {
				return line
			}
		}
	}
	return ""
}

// tail returns the end of the log.
func (j *journal) tail() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(append(j.lines[max(0, len(j.lines)-150):len(j.lines):len(j.lines)], string(j.rest)), "\n")
}
