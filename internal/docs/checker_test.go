package docs

import (
	"path/filepath"
	"strings"
	"testing"
)

func learned(t *testing.T) (*facts, string) {
	t.Helper()
	dir, err := box()
	if err != nil {
		t.Fatal(err)
	}
	f, err := learn(dir, filepath.Join(dir, "bin/privateer"))
	if err != nil {
		t.Fatal(err)
	}
	return f, dir
}

// TestBadText: each kind of claim that can be wrong is found when it is wrong,
// and not when it is right.
func TestBadText(t *testing.T) {
	f, _ := learned(t)
	for _, c := range []struct{ name, good, bad, want string }{
		{"link", "[x](guarantees.md)", "[x](guarantee.md)", "leads to no file"},
		{"link upwards", "[x](../README.md)", "[x](../../README.md)", "leads to no file"},
		{"anchor here", "[x](#a-title-with-code)", "[x](#a-title)", "no such heading"},
		{"anchor elsewhere", "[x](other.md#twice-1)", "[x](other.md#twice-2)", "no such heading"},
		{"address", "[x](https://zguide.zeromq.org/)", "[x](http://zguide.zeromq.org/)", "not of the form"},
		{"image", `<img src="performance.png">`, `<img src="performance.gif">`, "leads to no file"},
		{"link in two lines", "[x\ny](guarantees.md)", "[x\ny](nothing.md)", "leads to no file"},
		{"path", "`internal/core/wheel.go`", "`internal/core/wheels.go`", "no such file"},
		{"end of a path", "`core/wheel.go`", "`cor/wheel.go`", "no such file"},
		{"file name", "`wheel.go`", "`wheels.go`", "no such file"},
		{"directory", "`examples/guide/`", "`exmples/guide/`", "no such file"},
		{"made file", "`bin/bench.json`", "`bins/bench.json`", "no such file"},
		{"flag", "`--max-queue`", "`--max-queues`", "no command has the flag --max-queues"},
		{"flag with a value", "`--dialects plain,ppp`", "`--dialect plain,ppp`", "no command has the flag --dialect"},
		{"flag of a command", "`privateer broker --max-queue 5`", "`privateer worker --max-queue 5`", "privateer worker has no flag --max-queue"},
		{"command of its own", "`check --max-dead 0`", "`check --max-deads 0`", "no flag --max-deads"},
		{"command", "`privateer why ID`", "`privateer whi ID`", "no command whi"},
		{"metric", "`privateer_queue_depth`", "`privateer_queue_length`", "no metric privateer_queue_length"},
		{"histogram", "`privateer_loop_lag_seconds_bucket`", "`privateer_loop_lag_bucket`", "no metric"},
		{"whole name", "`privateer_build_info`", "`privateer_build`", "no metric"},
		{"label is no metric", "`rate(privateer_drops_total[5m])`", "`rate(privateer_service[5m])`", "no metric"},
		{"variable", "`PRIVATEER_BROKER_MAX_QUEUE`", "`PRIVATEER_BROKER_MAXQUEUE`", "nothing reads"},
		{"target", "`make sim SEEDS=5`", "`make simulate`", "no target simulate"},
		{"make variable", "`make sim SEED=5`", "`make sim SEEED=5`", "no variable SEEED"},
		{"test", "`TestPoison`", "`TestPoisonous`", "no test has this name"},
		{"go test", "`go test ./internal/core -run TestScripts/poison`", "`go test ./internal/core -run TestScripts/poisson`", "no test in internal/core"},
		{"go test of a package", "`go test ./broker -run Allocate -v`", "`go test ./brokers -run Allocate`", "no package brokers"},
		{"benchmark", "`go test ./internal/core -bench MemoryQueued`", "`go test ./internal/core -bench MemoryCued`", "no test in internal/core"},
		{"go run", "`cd bench && go run . -rounds 3`", "`cd bench && go run . -round 3`", "no flag -round"},
		{"mutant", "`go run ./internal/sim/mutants newest-first`", "`go run ./internal/sim/mutants newest-last`", "no mutant newest-last"},
		{"script", "`scripts/deps`", "`scripts/dep`", "no file scripts/dep"},
		{"identifier", "`worker.Request.SendPart`", "`worker.Request.SendParts`", "package worker has no Request.SendParts"},
		{"function", "`worker.Retry(err)`", "`worker.Again(err)`", "package worker has no Again"},
		{"member", "`Pipeline.Stream`", "`Pipeline.Streams`", "no Go package here"},
		{"error", "`ErrExpired`", "`ErrTooLate`", "no Go package here"},
		{"page", "`/livez`", "`/healthz`", "no such page"},
		{"table", "| a | b |\n|---|---|\n| `x|y` | d |", "| a | b |\n|---|---|\n| c |", "a row of 1 cells in a table of 2"},
		{"code", "``a`` `b`", "`a", "never closed"},
		{"fence", "```go\n```", "```go", "never closed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			others := map[string]*document{"docs/other.md": parse("docs/other.md", "# Twice\n\n# Twice\n")}
			for text, want := range map[string]string{c.good: "", c.bad: c.want} {
				d := parse("docs/it.md", "# A title, with `code`\n\n"+text+"\n")
				f.files["docs/it.md"], f.files["docs/other.md"] = true, true
				others["docs/it.md"] = d
				wrong := f.claims(d, others)
				if want == "" && len(wrong) > 0 || want != "" && (len(wrong) != 1 || !strings.Contains(wrong[0], want)) {
					t.Errorf("%q: found %q, want %q", text, wrong, want)
				}
			}
		})
	}
}

// TestBadBlocks: each kind of block that can be wrong is found when it is wrong.
func TestBadBlocks(t *testing.T) {
	f, dir := learned(t)
	const run = "    ./bin/privateer broker &\n    ./bin/privateer worker --echo &\n\n"
	for _, c := range []struct{ name, good, bad, want string }{
		{"exit code", "    ./bin/privateer version", "    ./bin/privateer worker", "exit status 2"},
		{"misspelled program", "    ./bin/privateer version", "    ./bin/privateeer version", "no command above prints a line like this"},
		{"misspelled among others", "    cd bench\n    go version", "    cd bench\n    goo version", "neither run, compiled nor recognised"},
		{"no such flag", run + "    ./bin/privateer request default x", run + "    ./bin/privateer request --tyme 1s default x", "no flag --tyme"},
		{"what serves ends", run, run + "    ./bin/privateer worker --concurrency 0 -- true", "ended by itself"},
		{"listed", "    make bench", "    make bench SEEDZ=1", "no variable SEEDZ"},
		{"output", run + "    ./bin/privateer request default 7\n\ntext\n\n    7", run + "    ./bin/privateer request default 7\n\ntext\n\n    seven", "no command above prints"},
		{"console", "```console\n$ echo 5 of 7\n1 of 12\n```", "```console\n$ echo 5 of 7\n1 in 12\n```", "no command above prints"},
		{"chaos", chaosLine(""), chaosLine(" more=1"), "no command above prints"},
		{"program", "```go\npackage main\n\nfunc main() {}\n```", "```go\npackage main\n\nfunc main() { x := 1 }\n```", "declared and not used"},
		{"program that fails", run + "```go\npackage main\n\nfunc main() {}\n```", run + "```go\npackage main\n\nfunc main() { panic(1) }\n```", "exit status 2"},
		{"language", "```json\n{}\n```", "```rust\nfn main() {}\n```", "neither run, compiled nor recognised"},
		{"json", "```json\n{\"a\": 1}\n```", "```json\n{a: 1}\n```", "no JSON"},
		{"yaml", "```yaml\na: [1]\n```", "```yaml\na: [1\n```", "it.md:4: [1:4]"},
		{"metric in yaml", "```yaml\nexpr: privateer_ids > 5\n```", "```yaml\nexpr: privateer_idz > 5\n```", "no metric"},
		{"vector", "```hex ping\n50\n```", "```hex pinging\n50\n```", "no test compares"},
		{"map", "    broker/ worker/   two\n    docs/protocol.md  one", "    broker/ workers/  two\n    docs/protocol.md  one", "workers/: no such file"},
		{"picture", "    a ──► b", "    a --> b", "no command above prints"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for text, want := range map[string]string{c.good: "", c.bad: c.want} {
				wrong := f.play(parse(strings.ReplaceAll(c.name, " ", "-")+"/it.md", "text\n\n"+text+"\n"), dir)
				if want == "" && len(wrong) > 0 || want != "" && !strings.Contains(strings.Join(wrong, "\n"), want) {
					t.Errorf("%q: found %q, want %q", text, wrong, want)
				}
			}
		})
	}
}

func chaosLine(more string) string {
	return "    chaos: scenario=mixed seed=1 attempted=1 acknowledged=1 ok=1 failed=1 rejected=1 expired=1 unknown=1 | lost=0 repeated-runs=0" +
		" wrong-reply=0 late-start=0 hung=0 | max-recovery-ms=1 p99-ms=1 peak-rss-mib=1 fd-leak=0 goroutine-leak=0" + more + " | valid=true"
}

// TestBadFragments: a Go block that is no file must compile, too.
func TestBadFragments(t *testing.T) {
	f, dir := learned(t)
	for text, want := range map[string]string{
		"reply, err := c.Do(ctx, client.Request{Service: \"x\"})\n_, _ = reply, err":              "",
		"func handle(ctx context.Context, r *worker.Request) ([]byte, error) { return nil, nil }": "",
		"reply, err := c.Dou(ctx, client.Request{Service: \"x\"})\n_, _ = reply, err":             "bad.md:4: c.Dou undefined",
	} {
		d := parse("bad.md", "text\n\n```go\n"+text+"\n```\n")
		err := f.fragments(dir, map[string]*document{"bad.md": d})
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// TestBadLists: an exception holds only while its other place does, and a
// command must print what is wanted of it.
func TestBadLists(t *testing.T) {
	f, dir := learned(t)
	list := []exception{{"make  x", "", ".ci/run", "make test"}, {"make y", "", ".ci/run", "make nothing"}, {"make z", "", ".ci/nothing", ""}}
	list[0].line = "make x"
	for line, want := range map[string]bool{"make  x": true, "make y": false, "make z": false, "make": false} {
		if excepted(list, line, f) != want {
			t.Errorf("%s: want %v", line, want)
		}
	}
	const line = "./bin/privateer version --json"
	wants[line] = "nothing like it"
	defer delete(wants, line)
	if wrong := f.play(parse("it.md", "text\n\n    "+line+"\n"), dir); len(wrong) != 1 || !strings.Contains(wrong[0], "want a match of") {
		t.Errorf("found %q", wrong)
	}
	for _, e := range append(notRun, recognised...) {
		if e.why == "" || e.file == "" || e.proof == "" {
			t.Errorf("%s is listed without a reason or a place", e.line)
		}
	}
}
