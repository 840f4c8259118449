package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/worker"
)

// workerEnv holds the configuration of a worker process.
const workerEnv = "PRIVATEER_TEST_WORKER"

// A workerConfig is what a worker process is to be.
type workerConfig struct {
	Brokers      []string
	Services     []string
	Concurrency  int
	TaskTimeout  time.Duration
	ReconnectMax time.Duration
	DrainTimeout time.Duration
	Workers      int    // in the one process; 0 is 1
	RunLog       string // path
}

// startWorker starts a worker process, which notes its runs in log.
func startWorker(t *testing.T, log *runLog, c workerConfig) *process {
	t.Helper()
	c.RunLog = log.path
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return start(t, "worker", []string{workerEnv + "=" + string(text)}, self)
}

// startWorkers starts n workers of the default service at b, one at a time,
// and waits until b knows them.
func startWorkers(t *testing.T, n int, b *brokerProcess, log *runLog) []*process {
	t.Helper()
	before := b.log.seen("worker_ready")
	var all []*process
	for range n {
		all = append(all, startWorker(t, log, workerConfig{Brokers: []string{b.back}}))
	}
	b.awaitWorkers(before + n)
	return all
}

// byPID finds the process that does a run.
func byPID(t *testing.T, all []*process, r *run) (p *process) {
	t.Helper()
	for _, p := range all {
		if p.pid() == r.pid {
			return p
		}
	}
	t.Fatalf("no worker has pid %d", r.pid)
	return nil
}

// workerMain is the main function of a worker process.
func workerMain(text string) int {
	var c workerConfig
	log := zerolog.New(os.Stderr).Level(zerolog.DebugLevel).With().Timestamp().Logger()
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		log.Error().Err(err).Msg(workerEnv)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var all sync.WaitGroup
	code := make(chan int, max(c.Workers, 1))
	for n := range max(c.Workers, 1) {
		h := &handler{path: c.RunLog, name: fmt.Sprintf("%d/%d", os.Getpid(), n)}
		w, err := worker.New(worker.Config{
			Brokers: c.Brokers, Services: c.Services, Concurrency: c.Concurrency, TaskTimeout: c.TaskTimeout,
			ReconnectMax: c.ReconnectMax, DrainTimeout: c.DrainTimeout, Logger: log,
		}, h)
		if err != nil {
			log.Error().Err(err).Msg("worker.New")
			return 2
		}
		all.Go(func() {
			if err := w.Run(ctx); err != nil {
				log.Error().Err(err).Msg("worker.Run")
				code <- 1
			}
		})
	}
	all.Wait()
	select {
	case c := <-code:
		return c
	default:
		return 0
	}
}

// A handler does what the request's header "do" says, and answers with the
// body it was given. It notes every run.
type handler struct{ path, name string }

func (h *handler) Handle(ctx context.Context, r *worker.Request) (frames [][]byte, err error) {
	told := "first"
	if r.MaybeRerun {
		told = "rerun"
	}
	h.note("start", r, told)
	how := "panic"
	defer func() { h.note("end", r, how) }()
	r.SetReplyHeader("pid", strconv.Itoa(os.Getpid()))
	do := ""
	for _, v := range r.Headers {
		if v.Key == "do" {
			do = v.Value
		}
	}
	err = act(ctx, r, do)
	switch {
	case ctx.Err() != nil:
		how = "cancelled:" + strings.ReplaceAll(context.Cause(ctx).Error(), " ", "_")
	case err != nil:
		how = "failed"
	default:
		how = "ok"
	}
	return r.Frames, err
}

// note appends one line to the run log, in one write.
func (h *handler) note(what string, r *worker.Request, how string) {
	f, err := os.OpenFile(h.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		body := r.Body()
		_, err = fmt.Fprintf(f, "%s %s %d %d %s %s %q\n", what, r.ID, r.Attempt, os.Getpid(), h.name, how, body[:min(len(body), 50)])
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		panic(err)
	}
}

// act does one of the things that handlers do:
//
//	sleep TIME    work for that long
//	gate DIR      work until the test opens the gate, for all attempts or this
//	hang DIR      the same, and ignore the end of the context
//	fail TEXT     return an error
//	reject CODE   return an error with a code of its own
//	retry N       ask for a retry, up to attempt N
//	panic TEXT
//	die           kill the process
func act(ctx context.Context, r *worker.Request, do string) error {
	verb, arg, _ := strings.Cut(do, " ")
	switch verb {
	case "":
		return nil
	case "sleep":
		d, err := time.ParseDuration(arg)
		if err != nil {
			return err
		}
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	case "gate":
		return awaitGate(ctx, arg, r.Attempt)
	case "hang":
		return awaitGate(context.WithoutCancel(ctx), arg, r.Attempt)
	case "fail":
		return errors.New(arg)
	case "reject":
		return worker.Reject(arg, "rejected")
	case "retry":
		if n, err := strconv.Atoi(arg); err != nil || r.Attempt < n {
			return worker.Retry(errors.New("not yet"))
		}
		return nil
	case "panic":
		panic(arg)
	case "die":
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return fmt.Errorf("cannot do %q", do)
}

// awaitGate waits until a gate is open for this attempt.
func awaitGate(ctx context.Context, dir string, attempt int) error {
	for {
		for _, name := range []string{"all", strconv.Itoa(attempt)} {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				return nil
			}
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// A gate holds handlers until the test opens it.
type gate struct {
	t   *testing.T
	dir string
}

func newGate(t *testing.T) *gate { return &gate{t, t.TempDir()} }

// do is what a handler is told, to wait here.
func (g *gate) do() string { return "gate " + g.dir }

// open lets all attempts pass.
func (g *gate) open() { g.t.Helper(); g.openFor("all") }

// openFor lets one attempt pass.
func (g *gate) openFor(attempt string) {
	g.t.Helper()
	if err := os.WriteFile(filepath.Join(g.dir, attempt), nil, 0o600); err != nil {
		g.t.Fatal(err)
	}
}
