package conformance

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/broker"
	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/internal/pulse"
	"github.com/privateer-mq/privateer/protocol"
	"github.com/privateer-mq/privateer/worker"
)

// TestMain lets many runs go side by side: all they do is wait.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "12"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

var names atomic.Int64

// endpoint makes the name of an endpoint that nobody else has.
func endpoint() string { return fmt.Sprint("mem://conformance-", names.Add(1)) }

// background runs something until the test ends.
func background(t *testing.T, do func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = do(ctx) // what it says when it is stopped is of no interest
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

func startWorker(t *testing.T, at string, takes time.Duration) {
	t.Helper()
	echo := func(_ context.Context, r *worker.Request) ([][]byte, error) {
		time.Sleep(takes)
		return r.Frames, nil
	}
	w, err := worker.New(worker.Config{Brokers: []string{at}, Services: []string{"echo"}, DrainTimeout: time.Millisecond}, worker.FramesFunc(echo))
	if err != nil {
		t.Fatal(err)
	}
	background(t, w.Run)
}

// startClient starts a client over REQ, or a pipeline over DEALER, that makes
// one request after another.
func startClient(t *testing.T, at string, pipeline bool) {
	t.Helper()
	type doer interface {
		Do(ctx context.Context, r client.Request) (client.Reply, error)
		Close() error
	}
	var c doer
	var err error
	cfg := client.Config{Brokers: []string{at}, Timeout: 250 * time.Millisecond}
	if pipeline {
		c, err = client.NewPipeline(cfg)
	} else {
		c, err = client.New(cfg)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	background(t, func(ctx context.Context) error {
		for ctx.Err() == nil {
			_, _ = c.Do(ctx, client.Request{Service: "echo", Body: []byte("some body")}) // the kit sees it
		}
		return nil
	})
}

func startBroker(t *testing.T, front, back string) {
	t.Helper()
	b, err := broker.New(broker.Config{Frontends: []string{front}, Backends: []string{back}, Heartbeat: 100 * time.Millisecond, DrainTimeout: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	background(t, b.Run)
}

// failed lists the checks that failed.
func failed(t *testing.T, r *Report, err error) (list []string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Checks {
		if c.Result == Fail {
			list = append(list, c.Name)
			t.Logf("%s: want %s; came: %s", c.Name, c.Want, c.Came)
		}
	}
	if len(r.Checks) < 20 {
		t.Errorf("only %d checks were made", len(r.Checks))
	}
	return list
}

func wantFailed(t *testing.T, r *Report, err error, want ...string) {
	t.Helper()
	if got := failed(t, r, err); !slices.Equal(got, want) {
		var table bytes.Buffer
		_ = r.WriteTable(&table)
		t.Errorf("failed: %q, want %q\n%s", got, want, table.String())
	}
}

// hasFailed reports whether these checks failed, and no others.
func hasFailed(r *Report, want []string) bool {
	var got []string
	for _, c := range r.Checks {
		if c.Result == Fail {
			got = append(got, c.Name)
		}
	}
	return slices.Equal(got, want)
}

// A mutant is a peer that breaks a rule, and the checks that must fail, and no
// other.
type mutant struct {
	name   string
	change func() func(up bool, frames [][]byte) [][]byte // nil: as it is
	fails  []string
}

// playMutants runs the mutants of one kind side by side.
func playMutants(t *testing.T, mutants []mutant, one func(t *testing.T, m mutant) (*Report, error)) {
	t.Helper()
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			var r *Report
			var err error
			pulse.Steady(func() bool {
				r, err = one(t, m)
				return err != nil || hasFailed(r, m.fails)
			})
			wantFailed(t, r, err, m.fails...)
		})
	}
}

// through is an endpoint of a proxy to to, or to itself.
func through(t *testing.T, m mutant, to string) string {
	t.Helper()
	if m.change == nil {
		return to
	}
	from := endpoint()
	startProxy(t, from, to, m.change())
	return from
}

func TestWorkers(t *testing.T) {
	playMutants(t, workerMutants, func(t *testing.T, m mutant) (*Report, error) {
		at := endpoint()
		startWorker(t, through(t, m, at), 0)
		return Worker(context.Background(), Config{Backend: at})
	})
}

func TestSlowWorkers(t *testing.T) {
	playMutants(t, slowWorkerMutants, func(t *testing.T, m mutant) (*Report, error) {
		at := endpoint()
		startWorker(t, through(t, m, at), slowMutant)
		return Worker(context.Background(), Config{Backend: at})
	})
}

func TestClients(t *testing.T) {
	playMutants(t, clientMutants, func(t *testing.T, m mutant) (*Report, error) {
		at := endpoint()
		startClient(t, through(t, m, at), false)
		return Client(context.Background(), Config{Frontend: at, Service: "echo"})
	})
}

func TestPipelines(t *testing.T) {
	playMutants(t, pipelineMutants, func(t *testing.T, m mutant) (*Report, error) {
		at := endpoint()
		startClient(t, through(t, m, at), true)
		r, err := Client(context.Background(), Config{Frontend: at})
		if r != nil && r.Count(NotApplicable) > 0 {
			t.Error("a check was left out")
		}
		return r, err
	})
}

func TestBrokers(t *testing.T) {
	playMutants(t, brokerMutants, func(t *testing.T, m mutant) (*Report, error) {
		front, back := endpoint(), endpoint()
		startBroker(t, front, back)
		return Broker(context.Background(), Config{Frontend: through(t, m, front), Backend: through(t, m, back)})
	})
}

// Each check has a name of its own, and names rules that the document has.
func TestChecksNameRules(t *testing.T) {
	document, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	looked := 0
	look := func(seen map[string]bool, name, rule string) {
		looked++
		if seen[name] {
			t.Errorf("two checks are called %s", name)
		}
		seen[name] = true
		for part := range strings.SplitSeq(rule, ", ") {
			section, item, isItem := strings.Cut(part, ".")
			mark := "\n## " + section + ". "
			switch {
			case part[0] >= 'A':
				mark = "**" + part + ".**"
			case isItem:
				mark = "\n" + item + ". "
			}
			if !strings.Contains(string(document), mark) {
				t.Errorf("%s: docs/protocol.md has no %q", name, part)
			}
		}
	}
	workers, clients, brokers := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, s := range slices.Concat(workerLinkSteps, workerReplySteps, workerHandOverSteps, workerHeldSteps, workerLossSteps) {
		look(workers, s.name, s.rule)
	}
	for _, s := range slices.Concat(clientAskSteps, clientReplySteps) {
		look(clients, s.name, s.rule)
	}
	for _, s := range slices.Concat(brokerFrontSteps, brokerLinkSteps, brokerRequestSteps, brokerAskSteps) {
		look(brokers, s.name, s.rule)
	}
	for _, s := range brokerLossSteps {
		look(brokers, s.name, s.rule)
	}
	if looked < 100 {
		t.Errorf("only %d checks", looked)
	}
}

// A run ends by itself: nobody comes, or the time is over.
func TestEndsByItself(t *testing.T) {
	began := time.Now()
	r, err := Worker(context.Background(), Config{Backend: endpoint(), Timeout: 200 * time.Millisecond})
	if err != nil || r.Count(Fail) != 1 || len(r.Checks) != 1 {
		t.Errorf("nobody came: %v, %+v", err, r.Checks)
	}
	at := endpoint()
	startWorker(t, at, 0)
	r, err = Worker(context.Background(), Config{Backend: at, Timeout: time.Second})
	if err != nil || r.Count(Fail) < 10 || !strings.Contains(r.Checks[len(r.Checks)-2].Came, "was over") {
		t.Errorf("the time was over: %v, %+v", err, r.Checks)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Client(ctx, Config{Frontend: endpoint()}); err == nil {
		t.Error("a run that was stopped is no error")
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestVectors(t *testing.T) {
	file, err := os.ReadFile("../../protocol/testdata/vectors.json")
	if err != nil || !bytes.Equal(file, Vectors()) {
		t.Errorf("%v, or they differ", err)
	}
}

// flip makes another id of an id, and the same one again.
func flip(id protocol.ID) protocol.ID {
	id[15] ^= 0xff
	return id
}
