// Package guide_test runs each example, in Go and in Python, against a bare
// ROUTER socket that plays the broker of the protocol: what is on the wire is
// compared frame by frame with what the RFCs say.
package guide_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	zmq "github.com/pebbe/zmq4"
)

// patience bounds every wait for something that should come.
const patience = 20 * time.Second

// binaries is the directory of the Go programs.
var binaries string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "privateer-guide-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binaries = dir
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil { // they wait far more than they work
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	args := []string{"build", "-race", "-o", dir + "/", "./lazypirate", "./ppworker", "./mdclient", "./mdworker"}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go %s: %v\n%s", strings.Join(args, " "), err, out)
		return 1
	}
	return m.Run()
}

// python finds the Python that runs the examples: $PYTHON, else the system's.
var python = sync.OnceValues(func() (string, error) {
	path := os.Getenv("PYTHON")
	if path == "" {
		path = "/usr/bin/python3"
		if _, err := os.Stat(path); err != nil {
			path = "python3"
		}
	}
	if out, err := exec.Command(path, "-c", "import zmq").CombinedOutput(); err != nil {
		return "", fmt.Errorf("the Python examples need pyzmq, and %s cannot import it: apt-get install python3-zmq, "+
			"or set PYTHON to an interpreter that has it (%v: %s)", path, err, bytes.TrimSpace(out))
	}
	return path, nil
})

var languages = []string{"go", "python"}

// A process is a program of the examples. It does not outlive its test.
type process struct {
	t              *testing.T
	cmd            *exec.Cmd
	stdout, stderr buffer
	done           chan struct{}
}

// start starts a program in the language.
func start(t *testing.T, language, program string, args ...string) *process {
	t.Helper()
	path, source := filepath.Join(binaries, program), program+"/main.go"
	if language == "python" {
		interpreter, err := python()
		if err != nil {
			t.Fatal(err)
		}
		path, source = interpreter, "python/"+program+".py"
		args = append([]string{source}, args...)
	}
	// go test remembers a result until a file changes that the test itself has
	// looked at.
	if _, err := os.Stat(source); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.cmd.Env = append(os.Environ(), "GORACE=halt_on_error=1 atexit_sleep_ms=0", "PYTHONDONTWRITEBYTECODE=1")
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // ProcessState says it
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.done
		if why := p.stderr.String(); t.Failed() || strings.Contains(why, "DATA RACE") || strings.Contains(why, "Traceback") {
			t.Errorf("%s of %s, %v, said:\n%s", program, language, p.cmd.ProcessState, why)
		}
	})
	return p
}

// wantExit waits for the end of the process.
func (p *process) wantExit(code int) {
	p.t.Helper()
	select {
	case <-p.done:
		if got := p.cmd.ProcessState.ExitCode(); got != code {
			p.t.Fatalf("exit status %d, want %d", got, code)
		}
	case <-time.After(patience):
		p.t.Fatal("it does not end")
	}
}

// wantOutput waits for the end of the process and compares all it has printed.
func (p *process) wantOutput(code int, lines ...string) {
	p.t.Helper()
	p.wantExit(code)
	if got, want := p.stdout.String(), strings.Join(lines, "\n")+"\n"; got != want {
		p.t.Errorf("it printed\n%swant\n%s", got, want)
	}
}

func (p *process) terminate() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
}

// A buffer can be read while a process writes to it.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// A router is a broker's socket, and shows what is on the wire: every frame
// but the routing id, which it takes for itself.
type router struct {
	t        *testing.T
	s        *zmq.Socket
	endpoint string

	beat   []string // what workers send as HEARTBEAT, passed over by want
	beats  int      // so many came since the last want
	silent bool     // sends no heartbeats itself
	peer   string   // who sent the last message
}

func newRouter(t *testing.T) *router {
	t.Helper()
	s, err := zmq.NewSocket(zmq.ROUTER)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	r := &router{t: t, s: s}
	r.must(s.SetLinger(0))
	r.must(s.SetRouterMandatory(1))
	r.must(s.Bind("tcp://127.0.0.1:*"))
	r.endpoint, err = s.GetLastEndpoint()
	r.must(err)
	return r
}

func (r *router) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// receive waits up to d for a message, and tells the peer meanwhile that the
// broker lives.
func (r *router) receive(d time.Duration) (frames []string, ok bool) {
	r.t.Helper()
	poller := zmq.NewPoller()
	poller.Add(r.s, zmq.POLLIN)
	for end := time.Now().Add(d); time.Now().Before(end); {
		ready, err := poller.Poll(20 * time.Millisecond)
		r.must(err)
		if len(ready) > 0 {
			message, err := r.s.RecvMessage(0)
			r.must(err)
			r.peer = message[0]
			return message[1:], true
		}
		if r.beat != nil && r.peer != "" && !r.silent {
			_, _ = r.s.SendMessage(r.peer, r.beat) // the peer may have gone
		}
	}
	return nil, false
}

// next waits for the next message that is no heartbeat.
func (r *router) next() []string {
	r.t.Helper()
	for end := time.Now().Add(patience); ; {
		frames, ok := r.receive(time.Until(end))
		switch {
		case !ok:
			r.t.Fatalf("nothing comes but %d heartbeats", r.beats)
		case r.beat != nil && slices.Equal(frames, r.beat):
			r.beats++
		default:
			return frames
		}
	}
}

// want waits for exactly these frames, heartbeats before them aside.
func (r *router) want(frames ...string) {
	r.t.Helper()
	r.beats = 0
	if got := r.next(); !slices.Equal(got, frames) {
		r.t.Fatalf("got %q, want %q", got, frames)
	}
}

func (r *router) send(frames ...string) {
	r.t.Helper()
	_, err := r.s.SendMessage(r.peer, frames)
	r.must(err)
}

// wantGone waits until a peer's connection is closed. No message but heartbeats
// may come meanwhile.
func (r *router) wantGone(peer string) {
	r.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		_, err := r.s.SendMessage(peer, "are you there?")
		if errors.Is(err, zmq.EHOSTUNREACH) {
			return
		}
		r.must(err)
		if frames, ok := r.receive(20 * time.Millisecond); ok && !slices.Equal(frames, r.beat) {
			r.t.Fatalf("%q comes", frames)
		}
	}
	r.t.Fatal("the peer keeps its connection")
}

// wantQuiet receives nothing but heartbeats for a while.
func (r *router) wantQuiet(d time.Duration) {
	r.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		if frames, ok := r.receive(time.Until(end)); ok && !slices.Equal(frames, r.beat) {
			r.t.Fatalf("%q comes", frames)
		}
	}
}

// join makes one list of frames.
func join(head []string, rest ...string) []string { return append(slices.Clone(head), rest...) }
