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
	"time"

	"github.com/privateer-mq/privateer/cmd/privateer/internal/proc"
	"github.com/privateer-mq/privateer/worker"
)

const (
	exitTempFail  = 75                     // EX_TEMPFAIL of sysexits.h: ask for a retry
	stderrTailMax = 1 << 10                // bytes of stderr that go into a FAILED
	termGrace     = 250 * time.Millisecond // between SIGTERM and SIGKILL
	replyBytesMax = 64 << 20               // what is read of a program's stdout at most
)

// A program is a worker.Handler that runs one process per request.
type program struct {
	path  string
	args  []string
	procs proc.Set
	parts bool // each line of its stdout goes out at once
}

func newProgram(command []string) (*program, error) {
	path, err := exec.LookPath(command[0])
	if err != nil {
		var ee *exec.Error
		if errors.As(err, &ee) {
			err = ee.Err
		}
		return nil, fmt.Errorf("cannot run %s: %w", command[0], err)
	}
	return &program{path: path, args: command}, nil
}

// Handle runs the program with the request's body on its stdin. Its stdout is
// the reply.
func (p *program) Handle(ctx context.Context, r *worker.Request) ([][]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stdout := &head{max: replyBytesMax, over: func() {
		cancel(fmt.Errorf("the reply is over %d MiB", replyBytesMax>>20))
	}}
	lines := &liner{send: r.SendPart, over: cancel, max: replyBytesMax}
	stderr := &tail{}
	cmd := exec.Command(p.path)
	cmd.Args = p.args
	cmd.Env = environment(os.Environ(), r)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if p.parts {
		cmd.Stdout = lines
	}
	if len(r.Frames) > 0 {
		cmd.Stdin = body(r.Frames)
	}
	err := p.procs.Run(ctx, cmd, termGrace)
	var ee *exec.ExitError
	switch {
	case err == nil && p.parts:
		return [][]byte{lines.rest}, nil
	case err == nil:
		return [][]byte{stdout.buf.Bytes()}, nil
	case errors.Is(err, proc.ErrOver):
		return nil, worker.Retry(err)
	case !errors.As(err, &ee):
		return nil, err // ctx's cause, or it could not be started
	}
	err = errors.New(ee.ProcessState.String() + stderr.clause())
	if ee.ExitCode() == exitTempFail {
		return nil, worker.Retry(err)
	}
	return nil, err
}

// body is the frames one after the other.
func body(frames [][]byte) io.Reader {
	readers := make([]io.Reader, len(frames))
	for i, f := range frames {
		readers[i] = bytes.NewReader(f)
	}
	return io.MultiReader(readers...)
}

// environment is environ with what the program may want to know of r.
func environment(environ []string, r *worker.Request) []string {
	about := []string{
		"PRIVATEER_REQUEST_ID=" + r.ID.String(),
		"PRIVATEER_ATTEMPT=" + strconv.Itoa(r.Attempt),
		"PRIVATEER_SERVICE=" + r.Service,
		"PRIVATEER_DEADLINE_MS=" + strconv.FormatInt(max(0, time.Until(r.Deadline).Milliseconds()), 10),
	}
	// Not those of a request that this worker is itself a handler of.
	env := slices.DeleteFunc(slices.Clone(environ), func(kv string) bool {
		return slices.ContainsFunc(about, func(a string) bool {
			key, _, _ := strings.Cut(a, "=")
			return strings.HasPrefix(kv, key+"=")
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
