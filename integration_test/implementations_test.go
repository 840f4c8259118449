package integration

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// jeroMQ is where Debian puts it: version 0.3.6, which speaks ZMTP 2.0.
const jeroMQ = "/usr/share/java/jeromq.jar"

// A foreigner is an implementation of ZeroMQ that is not ours.
type foreigner struct {
	name    string
	compile func(dir string) [][]string
	command func(dir string) []string
}

var foreigners = []foreigner{
	{"JeroMQ 0.3.6", func(dir string) [][]string {
		return [][]string{{"javac", "-d", dir, "-cp", jeroMQ, "testdata/Peer.java"}}
	}, func(dir string) []string { return []string{"java", "-cp", jeroMQ + ":" + dir, "Peer"} }},
	{"libzmq in C", func(dir string) [][]string {
		return [][]string{{"cc", "-Wall", "-Werror", "-o", filepath.Join(dir, "peer"), "testdata/peer.c", "-lzmq"}}
	}, func(dir string) []string { return []string{filepath.Join(dir, "peer")} }},
}

// Clients and workers of the guide, in other languages, over other
// implementations of ZeroMQ, are served: each kind of client by each kind of
// worker.
func TestOtherImplementations(t *testing.T) {
	const requests = 20
	commands := make([][]string, len(foreigners))
	for i, f := range foreigners {
		dir := t.TempDir()
		for _, args := range f.compile(dir) {
			if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v: %v\n%s\nscripts/deps and scripts/deps-java install what is missing", f.name, args, err, out)
			}
		}
		commands[i] = f.command(dir)
	}
	var want strings.Builder
	for n := range requests {
		fmt.Fprintf(&want, "request %d\n", n)
	}
	for i, w := range foreigners {
		b := startBroker(t, "--default-service=echo")
		start(t, w.name+" worker", nil, commands[i][0], append(commands[i][1:], "worker", b.back)...)
		eventually(t, patience, "the worker is there", func() bool { return b.log.seen("worker_ready") > 0 })
		for j, c := range foreigners {
			t.Run(c.name+" × "+w.name, func(t *testing.T) {
				ctx := testContext(t)
				args := append(append([]string{}, commands[j][1:]...), "client", b.front, fmt.Sprint(requests))
				out, err := exec.CommandContext(ctx, commands[j][0], args...).CombinedOutput()
				if err != nil || string(out) != want.String() {
					t.Fatalf("%v; it has read\n%s", err, out)
				}
			})
		}
	}
}
