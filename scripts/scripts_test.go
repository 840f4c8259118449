// Package scripts has no code: its test is of the shell scripts beside it.
package scripts

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestQuietly: what few want to read is kept, and shown only when it failed.
func TestQuietly(t *testing.T) {
	text, err := os.ReadFile("quietly")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir() // the log is beside the folder of the script
	if err := os.Mkdir(filepath.Join(dir, "scripts"), 0o700); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "scripts", "quietly")
	if err := os.WriteFile(script, text, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(script, "build", "sh", "-c", "echo a lot; echo more >&2").CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("what went well: %v, %q", err, out)
	}
	out, err := exec.Command(script, "build", "sh", "-c", "echo what went wrong; exit 7").CombinedOutput()
	var ee *exec.ExitError
	if !errors.As(err, &ee) || ee.ExitCode() != 7 || string(out) != "what went wrong\n" {
		t.Errorf("what failed: %v, %q", err, out)
	}
	log, err := os.ReadFile(filepath.Join(dir, ".tools", "build.log"))
	if err != nil || !strings.Contains(string(log), "a lot\nmore\n") || !strings.Contains(string(log), "what went wrong\n") {
		t.Errorf("the log: %v, %q", err, log)
	}
}
