package integration

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// leftOut are the checks of the kit that docs/protocol.md says the smallest worker
// does not pass.
func leftOut(t *testing.T) (names []string) {
	t.Helper()
	text, err := os.ReadFile("../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "| left out | price | checks |")
	table, _, end := strings.Cut(section, "\n\n")
	if !ok || !end {
		t.Fatal("docs/protocol.md has no table of what is left out")
	}
	for _, row := range strings.Split(table, "\n") {
		cells := strings.Split(row, "|")
		for _, name := range regexp.MustCompile("`([a-z-]+)`").FindAllStringSubmatch(cells[max(0, len(cells)-2)], -1) {
			names = append(names, name[1])
		}
	}
	if len(names) < 8 {
		t.Fatalf("only %q", names)
	}
	return names
}

// The smallest worker and client, written from their section of the protocol
// document, pass every check of the kit but those that the section names.
func TestSmallestConforms(t *testing.T) {
	wantPython(t)
	spared := leftOut(t)
	worker := []string{"worker", "--backend=tcp://127.0.0.1:0", "--service=echo", "--", python, inPython("smallest_worker.py"), "--broker", "{}"}
	for _, c := range []struct {
		name   string
		args   []string
		spared []string
		must   []string
	}{
		{"worker", worker, spared, []string{"ready", "gap", "reply-again", "broker-silent", "not-acknowledged", "broker-restart", "over-the-limit", "counting", "form"}},
		{"slow worker", append(slices.Clone(worker), "--delay", "0.3"), spared, []string{"progress", "running-listed", "running-again"}},
		{"client", []string{"client", "--frontend=tcp://127.0.0.1:0", "--service=echo", "--", python, inPython("smallest_client.py"), "--broker", "{}", "--count", "1000", "echo", "body"},
			nil, []string{"silence", "overloaded", "expired-early", "impossible-certainty"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got conformance
			failed := func() (names []string) {
				for _, k := range got.Checks {
					if k.Result == "FAIL" && !slices.Contains(c.spared, k.Name) {
						names = append(names, fmt.Sprintf("%s (%s): want %s; came: %s", k.Name, k.Rule, k.Want, k.Came))
					}
				}
				return names
			}
			steady(func() bool {
				got = runKit(t, c.args...)
				return len(failed()) == 0
			})
			if bad := failed(); len(bad) > 0 {
				t.Errorf("%s", strings.Join(bad, "\n"))
			}
			for _, k := range got.Checks {
				if slices.Contains(c.must, k.Name) && k.Result != "PASS" {
					t.Errorf("%s: %s, want PASS: %s", k.Name, k.Result, k.Came)
				}
			}
		})
	}
}

// They serve and are served where workers and the broker are killed.
func TestSmallestOutliveKills(t *testing.T) {
	wantPython(t)
	b := startBrokerAt(t, fixedEndpoint(t), fixedEndpoint(t))
	hire := func() *process {
		n := b.log.seen("worker_ready")
		w := start(t, "smallest_worker.py", []string{noBytecode}, python, inPython("smallest_worker.py"), "--broker", b.back, "--delay", "0.1")
		b.awaitWorkers(n + 1)
		return w
	}
	first := hire()
	const requests = 30
	c := start(t, "smallest_client.py", []string{noBytecode}, python, inPython("smallest_client.py"), "--broker", b.front,
		"--timeout", "0.5", "--count", fmt.Sprint(requests), "echo", "body")
	eventually(t, patience, "some are done", func() bool { return b.log.seen("finished") >= 5 })
	hire()
	first.kill()
	eventually(t, patience, "some more are done", func() bool { return b.log.seen("finished") >= 10 })
	b.restart()
	if code := c.exitCode(); code != 0 || c.stdout.String() != strings.Repeat("body\n", requests) {
		t.Errorf("exit %d; it has read\n%s", code, c.stdout.String())
	}
	b.wantHealthy()
}
