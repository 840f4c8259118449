package docs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/privateer-mq/privateer/internal/adminapi"
)

// These bound every wait; a wait that long has failed. Beside the other tests of
// a machine that has compiled nothing yet, what compiles takes a minute.
const (
	patience    = 2 * time.Minute // until something serves
	patienceEnd = 4 * time.Minute // until a command ends that does
)

// A session is a shell in which the commands of one document are typed, in
// their order, in a copy of the repository. Its brokers listen on free ports,
// which the session puts in the place of those that the document names.
type session struct {
	box     string
	front   string            // of the broker at the usual ports: HOST:PORT, "" before there is one
	back    string            //
	admin   string            //
	ports   map[string]string // what the document calls :5555, and what it is
	printed []string          // lines of all commands so far
	running []*running
}

// A running is a command in the background.
type running struct {
	line   string
	cmd    *exec.Cmd
	stderr *lines
	done   chan struct{}
	err    error
}

// making is held by a command that builds: two at a time would write one file.
var making sync.Mutex

var (
	port    = regexp.MustCompile(`:(\d{4,5})\b`)
	serving = regexp.MustCompile(`^(?:\./bin/)?privateer (?:broker|worker|bench serve)\b|\bexamples/\S*(?:worker|server)\S*|\bblocks/\S+ serve$`)
)

// run types a line. What goes on by itself, marked with & or not, is left
// running once it is there.
func (s *session) run(line string) error {
	line = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(line), "&"))
	parts := strings.Split(line, " && ")
	last := parts[len(parts)-1]
	if !serving.MatchString(last) {
		return s.foreground(line)
	}
	if len(parts) > 1 {
		if err := s.foreground(strings.Join(parts[:len(parts)-1], " && ")); err != nil {
			return err
		}
	}
	return s.background(last)
}

func (s *session) command(line string) *exec.Cmd {
	binds := regexp.MustCompile(`^(?:\./bin/)?privateer broker\b`).MatchString(line)
	line = port.ReplaceAllStringFunc(line, func(p string) string {
		if binds {
			return ":0"
		}
		if is := s.ports[p]; is != "" {
			return is
		}
		return p
	})
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = s.box
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it and its children end together
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "PRIVATEER_") && !strings.HasPrefix(kv, "PATH=") && !strings.HasPrefix(kv, "GOFLAGS=") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	// The system's Python has pyzmq (scripts/deps-python); -trimpath lets what
	// was compiled for one copy of the repository serve the next.
	cmd.Env = append(cmd.Env, "PATH="+filepath.Join(s.box, "bin")+":/usr/bin:"+os.Getenv("PATH"), "GOFLAGS="+os.Getenv("GOFLAGS")+" -trimpath",
		"PRIVATEER_BROKER_FRONTEND=tcp://127.0.0.1:0", "PRIVATEER_BROKER_BACKEND=tcp://127.0.0.1:0", "PRIVATEER_BROKER_ADMIN=127.0.0.1:0",
		"PRIVATEER_BROKER_LOG_FORMAT=json")
	for _, c := range []string{"REQUEST_BROKER", "PING_BROKER", "BENCH_FRONTEND"} {
		cmd.Env = append(cmd.Env, "PRIVATEER_"+c+"=tcp://"+s.front)
	}
	for _, c := range []string{"WORKER_BROKER", "BENCH_BACKEND"} {
		cmd.Env = append(cmd.Env, "PRIVATEER_"+c+"=tcp://"+s.back)
	}
	for _, c := range []string{"TOP", "SERVICES", "WORKERS", "WHY", "DEAD", "CANCEL", "PAUSE", "RESUME", "DRAIN", "LOG_LEVEL", "CHECK"} {
		cmd.Env = append(cmd.Env, "PRIVATEER_"+c+"_ADMIN="+s.admin)
	}
	return cmd
}

// foreground runs a line to its end, and wants exit code 0.
func (s *session) foreground(line string) error {
	if strings.Contains(line, "make ") {
		making.Lock()
		defer making.Unlock()
	}
	cmd := s.command(line)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	timer := time.AfterFunc(patienceEnd, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	err := cmd.Wait()
	timer.Stop()
	s.printed = append(s.printed, strings.Split(out.String()+"\n"+stderr.String(), "\n")...)
	if err != nil {
		return fmt.Errorf("%s: %w\n%s%s", line, err, out.String(), stderr.String())
	}
	return nil
}

// background starts a line and waits until it serves.
func (s *session) background(line string) error {
	before := s.workers()
	r := &running{line: line, cmd: s.command(line), stderr: &lines{}, done: make(chan struct{})}
	r.cmd.Stdout, r.cmd.Stderr = r.stderr, r.stderr
	if err := r.cmd.Start(); err != nil {
		return err
	}
	go func() {
		r.err = r.cmd.Wait()
		close(r.done)
	}()
	s.running = append(s.running, r)
	if strings.Contains(line, "privateer broker") {
		return s.listens(r)
	}
	return s.await(r, func() bool { return s.workers() > before })
}

// listens waits until a broker says where it listens.
func (s *session) listens(r *running) error {
	var said struct{ Frontend, Backend, Admin string }
	err := s.await(r, func() bool {
		for line := range strings.Lines(r.stderr.String()) {
			if json.Unmarshal([]byte(line), &said) == nil && said.Frontend != "" {
				return true
			}
		}
		return false
	})
	if err != nil {
		return err
	}
	front, back := strings.TrimPrefix(said.Frontend, "tcp://"), strings.TrimPrefix(said.Backend, "tcp://")
	for flag, is := range map[string][2]string{"--frontend": {":5555", front}, "--backend": {":5556", back}, "--admin": {":5580", said.Admin}} {
		name := is[0]
		if m := regexp.MustCompile(flag + `[ =]\S*(:\d+)`).FindStringSubmatch(r.line); m != nil {
			name = m[1]
		}
		s.ports[name] = is[1][strings.LastIndex(is[1], ":"):]
		if name == ":5555" {
			s.front, s.back, s.admin = front, back, said.Admin
		}
	}
	return nil
}

// await waits for a background command to be as wanted.
func (s *session) await(r *running, wanted func() bool) error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if wanted() {
			return nil
		}
		select {
		case <-r.done:
			return fmt.Errorf("%s: ended by itself, %v\n%s", r.line, r.cmd.ProcessState, r.stderr.String())
		default:
		}
	}
	return fmt.Errorf("%s: is not there after %v\n%s", r.line, patience, r.stderr.String())
}

// workers is how many workers the broker has, 0 without one.
func (s *session) workers() int {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.admin+"/api/v1/status", nil)
	if err != nil || s.admin == "" {
		return 0
	}
	answer, err := http.DefaultClient.Do(ask)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	var status adminapi.Status
	if json.NewDecoder(answer.Body).Decode(&status) != nil {
		return 0
	}
	return status.Workers
}

// end stops what still runs, and returns what had ended by itself.
func (s *session) end() (err error) {
	for i := len(s.running) - 1; i >= 0; i-- {
		r := s.running[i]
		select {
		case <-r.done:
			if r.err != nil {
				err = errors.Join(err, fmt.Errorf("%s: ended by itself: %w\n%s", r.line, r.err, r.stderr.String()))
			}
		default:
			_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL) // the broker's drain would wait for its workers
			<-r.done
		}
	}
	s.running = nil
	return err
}

// prints tells whether a command so far has printed a line of this shape.
func (s *session) prints(line string) bool {
	for _, p := range s.printed {
		if shape(p) == shape(line) {
			return true
		}
	}
	return false
}

// lines is what a background command has written so far.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
