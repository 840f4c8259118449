package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestOrphansAreReaped: what leaves its group and outlives its leader comes to this
// process, and is no zombie when it ends; nor are many at once, that were killed.
func TestOrphansAreReaped(t *testing.T) {
	if os.Getenv("PROC_TEST_ALONE") == "" { // the set must have all children of its process
		cmd := exec.Command(os.Args[0], "-test.run=^TestOrphansAreReaped$")
		cmd.Env = append(os.Environ(), "PROC_TEST_ALONE=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	var set Set
	if err := set.OwnTrees(); err != nil {
		t.Fatal(err)
	}
	defer set.guard.end()
	hold := filepath.Join(t.TempDir(), "hold")
	if err := os.WriteFile(hold, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(text string) (pids []int) {
		t.Helper()
		var out bytes.Buffer
		cmd := exec.Command("sh", "-c", text)
		cmd.Stdout = &out
		if err := set.Run(t.Context(), cmd, time.Second, func() {}); err != nil {
			t.Fatal(err)
		}
		for _, word := range strings.Fields(out.String()) {
			pid, err := strconv.Atoi(word)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
		return pids
	}
	escaped := run(fmt.Sprintf(`setsid sh -c 'echo >%s; while [ -e %[1]s ]; do sleep 0.01; done' >/dev/null 2>&1 &
		while ! [ -s %[1]s ]; do sleep 0.01; done; echo $!`, hold))
	killed := run(`for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 >/dev/null 2>&1 & echo $!; done`)
	if len(escaped) != 1 || len(killed) != 9 {
		t.Fatalf("escaped %v, killed %v", escaped, killed)
	}
	parent := func() string {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", escaped[0]))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		return strings.Fields(rest)[1]
	}
	await(t, "the orphan comes here", func() bool { return parent() == strconv.Itoa(os.Getpid()) })
	if err := os.Remove(hold); err != nil {
		t.Fatal(err)
	}
	for _, pid := range append(escaped, killed...) {
		await(t, "it is reaped", func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
	}
	run("exit 0") // and the set's own are still its own
}

func await(t *testing.T, what string, true func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !true(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited too long: %s", what)
		}
	}
}
