package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestReadme runs what README.md shows, as it is printed: its Go programs
// against each other, and its commands, all against one broker on the default
// ports. (make demo and make test are what runs this.)
func TestReadme(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	programs := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllSubmatch(text, -1)
	commands := regexp.MustCompile(`(?m)^    \./bin/privateer (.*)$`).FindAllSubmatch(text, -1)
	if len(programs) != 2 || len(commands) != 6 {
		t.Fatalf("%d programs and %d commands in README.md, want 2 and 6", len(programs), len(commands))
	}
	dir := t.TempDir()
	binary := filepath.Join(dir, "privateer")
	build(t, root, binary, "./cmd/privateer")
	var paths []string
	for i, p := range programs {
		source := filepath.Join(dir, []string{"worker", "client"}[i]+".go")
		if err := os.WriteFile(source, p[1], 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, strings.TrimSuffix(source, ".go"))
		build(t, root, paths[i], source)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for _, c := range commands {
		args := strings.Fields(string(c[1]))
		background := args[len(args)-1] == "&"
		if background {
			args = args[:len(args)-1]
		}
		if background || args[0] == "worker" { // a worker runs until it is stopped
			inBackground(t, binary, args...)
			continue
		}
		want := map[string]string{"echo": "hello", "--parts": "1\n2\n3\n4\n5\n"}[args[1]]
		if out := output(ctx, t, binary, args...); out != want || want == "" {
			t.Errorf("%v printed %q, want %q", args, out, want)
		}
	}
	inBackground(t, paths[0])
	if out := output(ctx, t, paths[1]); out != "hello!\n" {
		t.Errorf("the client program printed %q", out)
	}
	sum := output(ctx, t, binary, "request", "sum", "hello")
	if want := "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"; !strings.HasPrefix(sum, want) {
		t.Errorf("the worker with sha256sum answered %q, want %s", sum, want)
	}
}

func build(t *testing.T, root, to, from string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", to, from)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", from, err, out)
	}
}

// inBackground starts a program that runs until the test ends.
func inBackground(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended by itself: then Wait tells why
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s %v:\n%s", filepath.Base(name), args, log.String())
		}
	})
}

// output runs a program to its end; the request in it waits for its service.
func output(ctx context.Context, t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(ctx, name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s %v: %v\n%s", filepath.Base(name), args, err, stderr.String())
	}
	return string(out)
}
