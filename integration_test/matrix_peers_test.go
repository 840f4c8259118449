package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pebbe/zmq4"

	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/worker"
)

// lanes is how many requests a client keeps going.
const lanes = 4

// A clientKind is a client in one dialect. It asks the service "echo" until
// there are no more questions.
type clientKind struct {
	name string
	run  func(ctx context.Context, front string, q *questions) tally
}

var clientKinds = []clientKind{
	{"plain REQ", each(tongue{req, 1, func(body string) (request, reply []string) {
		return []string{body}, []string{body}
	}}.run)},
	// What is before the empty frame is the client's own, and comes back.
	{"plain DEALER", tongue{dealer, lanes, func(body string) (request, reply []string) {
		return []string{body, "", body}, []string{body, "", body}
	}}.run},
	{"MDP 0.1", each(tongue{req, 1, func(body string) (request, reply []string) {
		return []string{"MDPC01", "echo", body}, []string{"MDPC01", "echo", body}
	}}.run)},
	{"MDP 0.2", tongue{dealer, lanes, func(body string) (request, reply []string) {
		return []string{"MDPC02", "\x01", "echo", body}, []string{"MDPC02", "\x03", "echo", body}
	}}.run},
	{"PRV1 REQ", askClient},
	{"PRV1 DEALER", askPipeline},
	{"Python", each(askPython)},
}

// each runs a client that asks one question at a time several times at once.
func each(one func(context.Context, string, *questions) tally) func(context.Context, string, *questions) tally {
	return func(ctx context.Context, front string, q *questions) (all tally) {
		done := make(chan tally)
		for range lanes {
			go func() { done <- one(ctx, front, q) }()
		}
		for range lanes {
			all.add(<-done)
		}
		return all
	}
}

// A tongue is what a client without ids says, and how it is answered.
type tongue struct {
	socket zmq4.Type
	window int // requests under way on one socket
	say    func(body string) (request, reply []string)
}

// run asks as the guide's clients do: if no reply comes in time the socket is
// closed, and what is open asked again on a new one, three times in all.
func (g tongue) run(_ context.Context, front string, q *questions) (a tally) {
	open := map[string][]string{} // requests by their right replies
	var s *zmq4.Socket
	s, a.err = connect(g.socket, front)
	for tries := 1; a.err == nil; {
		for more := true; more && len(open) < g.window; {
			var body string
			if body, more = q.next(); more {
				request, reply := g.say(body)
				open[fmt.Sprintf("%q", reply)] = request
				_, a.err = s.SendMessage(request)
			}
		}
		if len(open) == 0 {
			break
		}
		reply, err := s.RecvMessage(0)
		switch key := fmt.Sprintf("%q", reply); {
		case err == nil && open[key] != nil:
			a.right++
			tries = 1
			delete(open, key)
		case err == nil:
			a.wrong++
			a.err = fmt.Errorf("an answer to nothing: %s", key)
		case tries == 3:
			a.lost += len(open)
			a.err = err
		default:
			tries++
			a.retries += len(open)
			_ = s.Close()
			s, a.err = connect(g.socket, front)
			for _, request := range open {
				if a.err == nil {
					_, a.err = s.SendMessage(request)
				}
			}
		}
	}
	if a.err == nil && g.socket == dealer { // a second answer would come now
		_ = s.SetRcvtimeo(heartbeat)
		if more, err := s.RecvMessage(0); err == nil {
			a.wrong++
			a.err = fmt.Errorf("one answer too many: %q", more)
		}
	}
	if s != nil {
		_ = s.Close()
	}
	return a
}

// connect is dial for other goroutines than the test's.
func connect(kind zmq4.Type, endpoint string) (*zmq4.Socket, error) {
	s, err := zmq4.NewSocket(kind)
	if err != nil {
		return nil, err
	}
	return s, errors.Join(s.SetLinger(0), s.SetRcvtimeo(clientTimeout), s.SetSndtimeo(clientTimeout), s.Connect(endpoint))
}

func prv1Config(front string) client.Config {
	return client.Config{Brokers: []string{front}, Timeout: clientTimeout, MaxInFlight: lanes}
}

func askClient(ctx context.Context, front string, q *questions) (a tally) {
	c, err := client.New(prv1Config(front))
	if err != nil {
		return tally{err: err}
	}
	defer c.Close()
	return each(func(ctx context.Context, _ string, q *questions) (a tally) {
		for body, ok := q.next(); ok; body, ok = q.next() {
			reply, err := c.Do(ctx, client.Request{Service: "echo", Body: []byte(body)})
			a.judge(body, reply, err)
		}
		return a
	})(ctx, front, q)
}

func askPipeline(ctx context.Context, front string, q *questions) (a tally) {
	p, err := client.NewPipeline(prv1Config(front))
	if err != nil {
		return tally{err: err}
	}
	defer p.Close()
	requests := func(yield func(client.Request) bool) {
		for body, ok := q.next(); ok && yield(client.Request{Service: "echo", Body: []byte(body)}); body, ok = q.next() {
		}
	}
	for r, err := range p.Results(ctx, requests) {
		a.judge(string(r.Request.Body), r.Reply, err)
	}
	return a
}

func (a *tally) judge(body string, reply client.Reply, err error) {
	switch {
	case err != nil:
		a.lost++
		a.err = err
	case len(reply.Frames) != 1 || string(reply.Body()) != body:
		a.wrong++
		a.err = fmt.Errorf("reply %q to %q", reply.Frames, body)
	default:
		a.right++
		a.retries += reply.Tries - 1
	}
}

// askPython has one process for each question.
func askPython(ctx context.Context, front string, q *questions) (a tally) {
	for body, ok := q.next(); ok && ctx.Err() == nil; body, ok = q.next() {
		var stdout, stderr bytes.Buffer
		p := exec.CommandContext(ctx, python, inPython("client.py"), "--broker", front, "--timeout", fmt.Sprint(clientTimeout.Seconds()), "echo", body)
		p.Stdout, p.Stderr, p.Env = &stdout, &stderr, append(os.Environ(), noBytecode)
		err := spawn(p)
		if err == nil {
			err = p.Wait()
		}
		switch said := stderr.String(); {
		case err != nil:
			a.lost++
			a.err = fmt.Errorf("client.py: %w: %s", err, said)
		case stdout.String() != body+"\n" || !strings.HasPrefix(said, "OK "):
			a.wrong++
			a.err = fmt.Errorf("client.py, asking %q, printed %q and %q", body, stdout.String(), said)
		default:
			a.right++
			if !strings.HasSuffix(said, " tries=1\n") {
				a.retries++
			}
		}
	}
	return a
}

// A workerKind is a worker in one dialect, of the service "echo" or the default
// one, that takes its time for each request.
type workerKind struct {
	name  string
	start func(t *testing.T, b *brokerProcess) *process
}

var workerKinds = []workerKind{
	{"PPP", func(t *testing.T, b *brokerProcess) *process {
		return startPPWorker(t, b.back, "--heartbeat", heartbeat.String(), "--delay", atWork.String())
	}},
	{"MDP 0.1", func(t *testing.T, b *brokerProcess) *process {
		return startMDWorker(t, b.back, "0.1", "echo", "--heartbeat", heartbeat.String(), "--delay", atWork.String())
	}},
	{"MDP 0.2", func(t *testing.T, b *brokerProcess) *process {
		return startMDWorker(t, b.back, "0.2", "echo", "--heartbeat", heartbeat.String(), "--delay", atWork.String())
	}},
	{"PRV1", func(t *testing.T, b *brokerProcess) *process {
		return startPartsWorker(t, partsConfig{Broker: b.back, Service: "echo", Pause: atWork})
	}},
	{"Python", func(t *testing.T, b *brokerProcess) *process {
		return start(t, "worker.py", []string{noBytecode}, python, inPython("worker.py"), "--broker", b.back, "--service", "echo",
			"--delay", fmt.Sprint(atWork.Seconds()))
	}},
}

// noBytecode keeps Python from writing beside the examples.
const noBytecode = "PYTHONDONTWRITEBYTECODE=1"

func inPython(file string) string { return filepath.Join("..", "examples", "python", file) }

// wantPython fails the test on a machine that cannot run the examples.
func wantPython(t *testing.T) {
	t.Helper()
	if out, err := exec.Command(python, "-c", "import zmq").CombinedOutput(); err != nil {
		t.Fatalf("%s cannot import zmq: install python3-zmq (apt-get install python3-zmq): %v\n%s", python, err, out)
	}
}

// The guide's programs are built once, beside the binary, by the first test
// that needs them.
var builtGuide = sync.OnceValue(func() error {
	build := exec.Command("go", "build", "-o", filepath.Dir(binary)+"/", "../examples/guide/ppworker", "../examples/guide/mdworker")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", build.Args, err, out)
	}
	return nil
})

func buildGuide(t *testing.T) {
	t.Helper()
	if err := builtGuide(); err != nil {
		t.Fatal(err)
	}
}

// startPPWorker starts the guide's Paranoid Pirate worker.
func startPPWorker(t *testing.T, endpoint string, flags ...string) *process {
	t.Helper()
	buildGuide(t)
	return start(t, "ppworker", nil, filepath.Join(filepath.Dir(binary), "ppworker"), append([]string{"--broker", endpoint}, flags...)...)
}

// startMDWorker starts the guide's Majordomo worker.
func startMDWorker(t *testing.T, endpoint, version, service string, flags ...string) *process {
	t.Helper()
	buildGuide(t)
	args := []string{"--broker", endpoint, "--version", version, "--service", service}
	return start(t, "mdworker "+version, nil, filepath.Join(filepath.Dir(binary), "mdworker"), append(args, flags...)...)
}

// partsEnv holds the configuration of a worker process that makes parts.
const partsEnv = "PRIVATEER_TEST_PARTS_WORKER"

// A partsConfig is what such a worker is to be: it sends so many parts, after a
// pause each, and the body as the end after one more.
type partsConfig struct {
	Broker, Service string
	Parts           int
	Pause           time.Duration
	Gate            string // the end waits until it is open; "": no gate
	RunLog          string // path; "": none
}

func startPartsWorker(t *testing.T, c partsConfig) *process {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return start(t, "parts worker", []string{partsEnv + "=" + string(text)}, self)
}

// The test binary is that worker, too, if it is told so.
func init() {
	if text := os.Getenv(partsEnv); text != "" {
		if err := partsMain(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

func partsMain(text string) error {
	var c partsConfig
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log := &handler{path: c.RunLog, name: fmt.Sprint(os.Getpid())}
	w, err := worker.New(worker.Config{Brokers: []string{c.Broker}, Services: []string{c.Service}, ReconnectMax: time.Second},
		worker.HandlerFunc(func(ctx context.Context, r *worker.Request) ([]byte, error) {
			if c.RunLog != "" {
				log.note("start", r, "first")
				defer log.note("end", r, "over")
			}
			for n := 1; ; n++ {
				select {
				case <-time.After(c.Pause):
				case <-ctx.Done():
					return nil, context.Cause(ctx)
				}
				if n > c.Parts && c.Gate != "" {
					return r.Body(), awaitGate(ctx, c.Gate, r.Attempt)
				}
				if n > c.Parts {
					return r.Body(), nil
				}
				if err := r.SendPart(partOf(string(r.Body()), n)); err != nil {
					return nil, err
				}
			}
		}))
	if err != nil {
		return err
	}
	return w.Run(ctx)
}

// partOf is the n-th part of the reply to body.
func partOf(body string, n int) []byte { return fmt.Appendf(nil, "%s, part %d", body, n) }
