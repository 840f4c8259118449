// Package integration runs the real thing: processes that talk over real TCP,
// and are killed, frozen and stopped. Every test looks at both sides: what the
// client was told, and what the workers ran, which they note in a run log.
package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// binary is the path of the privateer binary, built with the race detector.
var binary string

// TestMain builds the binary once. The test binary itself is the workers': a
// process that finds workerEnv set is one.
func TestMain(m *testing.M) {
	if config := os.Getenv(workerEnv); config != "" {
		os.Exit(workerMain(config))
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "privateer-integration-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "privateer")
	build := exec.Command("go", "build", "-race", "-tags", tags, "-o", binary, "../cmd/privateer")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build -race ../cmd/privateer: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// patience bounds every wait for something that should come at once: a wait
// that long has failed.
const patience = 20 * time.Second

// testContext ends long before the test binary's own time-out, so that a call
// that hangs fails its test and no other.
func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits until cond holds, and fails the test if it does not within d.
func eventually(t *testing.T, d time.Duration, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(d); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", d, what)
		}
	}
}
