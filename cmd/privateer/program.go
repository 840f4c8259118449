package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/cmd/privateer/internal/proc"
	"github.com/privateer-mq/privateer/worker"
)

const (
	exitTempFail  = 75                     // EX_TEMPFAIL of sysexits.h: ask for a retry
	stderrTailMax = 1 << 10                // bytes of stderr that go into a FAILED
	termGrace     = 250 * time.Millisecond // between SIGTERM and SIGKILL
	replyBytesMax = 64 << 20               // what is read of a program's stdout at most
	busyTries     = 5                      // of a program that is being written to, so many
	busyWait      = 20 * time.Millisecond  // before the second; it doubles
)

// A program is a worker.Handler that runs one process per request.
type program struct {
	path    string
	args    []string
	procs   proc.Set
	parts   bool        // each line of its stdout goes out at once
	handOn  bool        // what was killed from outside is another's
	ending  func() bool // the worker drains
	breaker *breaker
	missing missing
	log     zerolog.Logger
}

func newProgram(command []string, log zerolog.Logger, b *breaker) (*program, error) {
	path, err := lookPath(command[0])
	if err != nil {
		return nil, err
	}
	return &program{path: path, args: command, breaker: b, missing: missing{log: log}, log: log, ending: func() bool { return false }}, nil
}

// lookPath finds a program that can be run, by its name or path.
func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		var ee *exec.Error
		if errors.As(err, &ee) {
			err = ee.Err
		}
		return "", fmt.Errorf("cannot run %s: %w", name, err)
	}
	return path, nil
}

// Handle runs the program with the request's body on its stdin. Its stdout is
// the reply. One that could not be started is another worker's.
func (p *program) Handle(ctx context.Context, r *worker.Request) ([][]byte, error) {
	if err := p.breaker.enter(time.Now()); err != nil {
		return nil, worker.HandBack(err)
	}
	defer func() { p.breaker.leave(time.Now()) }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stdout := &head{max: replyBytesMax, over: func() {
		cancel(fmt.Errorf("the reply is over %d MiB", replyBytesMax>>20))
	}}
	lines := &liner{send: r.SendPart, over: cancel, max: replyBytesMax}
	stderr := &tail{}
	err := p.run(ctx, func() *exec.Cmd {
		cmd := exec.Command(p.path)
		cmd.Args = p.args
		cmd.Env = environment(os.Environ(), r)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal to wait at
		cmd.Stdout, cmd.Stderr = stdout, stderr
		if p.parts {
			cmd.Stdout = lines
		}
		if len(r.Frames) > 0 {
			cmd.Stdin = body(r.Frames)
		}
		return cmd
	})
	var ee *exec.ExitError
	var unstarted *proc.StartError
	switch {
	case err == nil:
		p.missing.ended(0, "")
	case errors.As(err, &ee):
		p.missing.ended(ee.ExitCode(), strings.TrimPrefix(stderr.clause(), ": "))
	}
	switch {
	case err == nil && p.parts:
		return [][]byte{lines.rest}, nil
	case err == nil:
		return [][]byte{stdout.buf.Bytes()}, nil
	case errors.Is(err, proc.ErrOver):
		return nil, worker.Retry(err)
	case errors.As(err, &unstarted):
		sayUnstarted(p.log, p.breaker.failed(time.Now(), err))
		return nil, worker.HandBack(err)
	case !errors.As(err, &ee):
		return nil, err // ctx's cause
	}
	err = errors.New(ee.ProcessState.String() + stderr.clause())
	if ee.ExitCode() == exitTempFail || p.handOn && p.fromOutside(ee) {
		return nil, worker.Retry(err)
	}
	return nil, err
}

// fromOutside reports whether a program was ended by something that says nothing
// about it: the kernel, out of memory; whoever ends all processes of a container; any
// signal while the worker drains. A fault of its own, such as SIGSEGV, is none of these.
func (p *program) fromOutside(e *exec.ExitError) bool {
	status, ok := e.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		return false
	}
	switch status.Signal() {
	case syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP:
		return true
	}
	return p.ending()
}

// run runs what command makes. A program that is just being written is waited for,
// a moment.
func (p *program) run(ctx context.Context, command func() *exec.Cmd) (err error) {
	wait := busyWait
	for range busyTries {
		err = p.procs.Run(ctx, command(), termGrace, func() {
			if p.breaker.started() {
				p.log.Info().Str("state", "spawn-works").Msg("COMMAND can be started again")
			}
		})
		if !errors.Is(err, syscall.ETXTBSY) || !pause(ctx, wait) {
			break
		}
		wait *= 2
	}
	return err
}

// sayUnstarted logs what a failed start has led to.
func sayUnstarted(log zerolog.Logger, d downtime) {
	e := log.Warn()
	if d.first {
		e = log.Error()
	}
	e.Err(d.err).Str("state", "spawn-failed").Stringer("retry_in", d.wait.Round(time.Millisecond)).
		Msg("COMMAND cannot be started; requests are handed on, and none is taken for a while")
}

// body is the frames one after the other.
func body(frames [][]byte) io.Reader {
	readers := make([]io.Reader, len(frames))
	for i, f := range frames {
		readers[i] = bytes.NewReader(f)
	}
	return io.MultiReader(readers...)
}

// ownVariables are for this process alone: systemd's.
var ownVariables = []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}

// environment is environ with what the program may want to know of r.
func environment(environ []string, r *worker.Request) []string {
	about := []string{
		"PRIVATEER_REQUEST_ID=" + r.ID.String(),
		"PRIVATEER_ATTEMPT=" + strconv.Itoa(r.Attempt),
		"PRIVATEER_SERVICE=" + r.Service,
		"PRIVATEER_DEADLINE_MS=" + strconv.FormatInt(max(0, time.Until(r.Deadline).Milliseconds()), 10),
	}
	// Not those of a request that this worker is itself a handler of, and not what a
	// service manager has told the worker alone.
	env := slices.DeleteFunc(slices.Clone(environ), func(kv string) bool {
		key, _, _ := strings.Cut(kv, "=")
		return slices.Contains(ownVariables, key) || slices.ContainsFunc(about, func(a string) bool {
			return strings.HasPrefix(a, key+"=")
		})
	})
	return append(env, about...)
}

// A head keeps what is written to it up to max bytes. When more comes it calls
// over, and lets the rest go.
type head struct {
	max  int
	over func()
	buf  bytes.Buffer
}

func (h *head) Write(b []byte) (int, error) {
	if h.buf.Len()+len(b) > h.max {
		h.over()
		return len(b), nil
	}
	return h.buf.Write(b)
}

// A tail keeps the last stderrTailMax bytes of what is written to it.
type tail struct{ buf []byte }

func (t *tail) Write(b []byte) (int, error) {
	t.buf = append(t.buf, b[max(0, len(b)-stderrTailMax):]...)
	if over := len(t.buf) - stderrTailMax; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(b), nil
}

// clause is the tail as the end of a sentence, "" if there is none.
func (t *tail) clause() string {
	text := strings.TrimSpace(strings.ToValidUTF8(string(t.buf), ""))
	if text == "" {
		return ""
	}
	return ": " + text
}
