package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// exampleOf is the last line of a command's help.
func exampleOf(t *testing.T, command string) string {
	t.Helper()
	help, err := exec.Command("privateer", command, "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(string(help), "\n"), "\n")
	example := lines[len(lines)-1]
	if !strings.HasPrefix(example, "  privateer "+command) {
		t.Fatalf("the help of %s ends with %q, want an example", command, example)
	}
	return strings.TrimSpace(example)
}

// shell runs a line as it stands, away from the usual ports.
func shell(t *testing.T, line string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", "-c", "exec "+line)
	cmd.Dir = t.TempDir()
	if err := os.WriteFile(cmd.Dir+"/file", []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// background starts a line, and ends it with the test by SIGTERM: exit code 0.
func background(t *testing.T, line string, env ...string) *watched {
	t.Helper()
	cmd, stderr := shell(t, line, env...), newWatched()
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v\n%s", line, err, stderr.String())
		}
	})
	return stderr
}

// TestExamples runs the example at the end of each command's help, as printed.
// Only their endpoints are given, by the environment.
func TestExamples(t *testing.T) {
	log := background(t, exampleOf(t, "broker"), "PRIVATEER_BROKER_FRONTEND=tcp://127.0.0.1:0",
		"PRIVATEER_BROKER_BACKEND=tcp://127.0.0.1:0", "PRIVATEER_BROKER_ADMIN=127.0.0.1:0", "PRIVATEER_BROKER_LOG_FORMAT=json")
	front, back, ok := log.endpoints(nil)
	if !ok {
		t.Fatalf("the broker does not listen:\n%s", log.String())
	}
	background(t, exampleOf(t, "worker"), "PRIVATEER_WORKER_BROKER="+back)
	background(t, "privateer bench serve", "PRIVATEER_BENCH_BACKEND="+back)

	for command, want := range map[string]string{
		"request": "b94f6f125c79e3a5ffaa826f584c10d52ada669e6762051b826b55776d05aed2  -\n",
		"ping":    "broker=" + front + " state=serving ",
		"bench":   "\nrequests=3000 ok=3000 errors=0 ",
		"demo":    "\ndemo: requests=300 ok=300 lost=0 wrong=0 ",
		"version": `{"version":"`,
	} {
		cmd := shell(t, exampleOf(t, command), "PRIVATEER_REQUEST_BROKER="+front, "PRIVATEER_PING_BROKER="+front,
			"PRIVATEER_BENCH_FRONTEND="+front)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v, got %q, want %q\n%s", command, err, out, want, stderr.String())
		}
	}
	adminExamples(t, adminOf(log.String()))
}

// adminExamples are those that need no id of a request.
func adminExamples(t *testing.T, admin string) {
	for _, c := range []struct{ command, want string }{
		{"top", "\nhash "},
		{"services", "\nhash "},
		{"workers", `"services":["hash"]`},
		{"requests", "no open requests that this asks for\n"},
		{"dead", "no dead letters\n"},
		{"pause", "hash is paused: "},
		{"resume", "hash is not paused: "},
		{"log-level", "the broker logs at level debug\n"},
		{"check", "OK: "},
		{"completion", "complete -F _privateer privateer\n"},
		{"drain", "the broker is gone, after "},
	} {
		variable := "PRIVATEER_" + strings.ToUpper(strings.ReplaceAll(c.command, "-", "_")) + "_ADMIN=" + admin
		cmd := shell(t, exampleOf(t, c.command), variable)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if out, err := cmd.Output(); err != nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: %v, got %q, want %q\n%s", c.command, err, out, c.want, stderr.String())
		}
	}
}
