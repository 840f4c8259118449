package integration

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// python is the one that Debian's python3-zmq belongs to.
const python = "/usr/bin/python3"

// A conformance is what privateer conformance --json prints.
type conformance struct {
	Role   string
	Checks []struct{ Name, Rule, Result, Want, Came string }
	Failed int
}

// conforms runs the kit and wants no check to fail. It returns what each came to.
func conforms(t *testing.T, args ...string) map[string]string {
	t.Helper()
	var c conformance
	steady(func() bool {
		c = runKit(t, args...)
		return c.Failed == 0
	})
	if len(c.Checks) < 20 {
		t.Errorf("only %d checks", len(c.Checks))
	}
	results := map[string]string{}
	for _, k := range c.Checks {
		results[k.Name] = k.Result
		switch k.Result {
		case "FAIL":
			t.Errorf("%s (%s): want %s; came: %s", k.Name, k.Rule, k.Want, k.Came)
		case "n.a.":
			t.Logf("%s: not checked: %s", k.Name, k.Came)
		}
	}
	return results
}

// runKit runs the kit once.
func runKit(t *testing.T, args ...string) (c conformance) {
	t.Helper()
	p := start(t, "privateer conformance", nil, binary, append([]string{"conformance", "--json"}, args...)...)
	select {
	case <-p.done:
	case <-time.After(2 * time.Minute): // it ends by itself, after one
		t.Fatal("privateer conformance does not end")
	}
	code := p.exitCode()
	if err := json.Unmarshal(p.stdout.Bytes(), &c); err != nil {
		t.Fatalf("exit %d, %v: %q\n%s", code, err, p.stdout.String(), p.log.tail())
	}
	if want := min(c.Failed, 1); code != want {
		t.Errorf("exit %d, want %d", code, want)
	}
	return c
}

// wantChecked wants checks that can be left out to have been made.
func wantChecked(t *testing.T, results map[string]string, names ...string) {
	t.Helper()
	for _, n := range names {
		if results[n] != "PASS" {
			t.Errorf("%s: %q, want PASS", n, results[n])
		}
	}
}

func TestConformanceBroker(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	r := conforms(t, "broker", "--frontend", b.front, "--backend", b.back)
	wantChecked(t, r, "plain-req", "late-reply", "superseded", "at-most-once", "cancel-repeated")
	b.wantHealthy()
}

func TestConformanceWorker(t *testing.T) {
	t.Parallel()
	r := conforms(t, "worker", "--backend=tcp://127.0.0.1:0", "--service=echo", "--",
		binary, "worker", "--broker", "{}", "--service", "echo", "--echo")
	wantChecked(t, r, "body-frames", "unstarted-waits", "cancel-unstarted", "drain")
}

// A handler that takes a while can be seen while it runs.
func TestConformanceSlowWorker(t *testing.T) {
	t.Parallel()
	r := conforms(t, "worker", "--backend=tcp://127.0.0.1:0", "--service=echo", "--",
		binary, "worker", "--broker", "{}", "--service", "echo", "--", "sh", "-c", "sleep 0.2; cat")
	wantChecked(t, r, "running-listed", "running-again", "cancel-running", "withdrawn", "drain")
}

func TestConformanceClient(t *testing.T) {
	t.Parallel()
	conforms(t, "client", "--frontend=tcp://127.0.0.1:0", "--service=echo", "--",
		binary, "request", "--broker", "{}", "--repeat", "0", "--timeout", "300ms", "echo", "some body")
}

// Without a COMMAND the kit waits for who comes.
func TestConformanceWaits(t *testing.T) {
	t.Parallel()
	at := fixedEndpoint(t)
	start(t, "privateer worker", nil, binary, "worker", "--broker", at, "--echo")
	r := conforms(t, "worker", "--backend", at)
	if r["drain"] != "n.a." {
		t.Errorf("drain: %q, want n.a.: the kit has not started the worker", r["drain"])
	}
}

// The examples in Python pass, too. A machine that cannot run them fails.
func TestConformancePython(t *testing.T) {
	folder := filepath.Join("..", "examples", "python")
	for _, c := range []struct {
		file string
		args []string
	}{
		{"worker.py", []string{"worker", "--backend=tcp://127.0.0.1:0", "--service=echo", "--", python, "FILE", "--broker", "{}", "--service", "echo", "--echo"}},
		{"client.py", []string{"client", "--frontend=tcp://127.0.0.1:0", "--service=echo", "--", python, "FILE", "--broker", "{}", "--count", "1000", "echo", "body"}},
	} {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(folder, c.file)
			if _, err := os.Stat(path); err != nil {
				t.Fatalf("%v", err)
			}
			if out, err := exec.Command(python, "-c", "import zmq").CombinedOutput(); err != nil {
				t.Fatalf("%s cannot import zmq: install python3-zmq (apt-get install python3-zmq): %v\n%s", python, err, out)
			}
			c.args[slices.Index(c.args, "FILE")] = path
			conforms(t, c.args...)
		})
	}
}

// What fails while a process stood still is tried again, and on a steady machine not.
func TestSteadySeesProcesses(t *testing.T) {
	for still, want := range map[bool]int{true: 2, false: 1} {
		tries := 0
		steady(func() bool {
			tries++
			if still && tries == 1 {
				if _, err := newJournal().Write([]byte(`{"state":"paused"}` + "\n")); err != nil {
					t.Error(err)
				}
			}
			return tries == 2
		})
		if tries < want || !still && tries > 5 { // this process may have been late as well
			t.Errorf("stood still: %v: %d tries, want %d", still, tries, want)
		}
	}
}
