//go:build unix

package demo

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCollect(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a"), "1")
	write(t, filepath.Join(dir, "b/c"), "22")
	write(t, filepath.Join(dir, "large"), "55555")
	write(t, filepath.Join(dir, ".git/config"), "1")
	if err := os.Symlink(filepath.Join(dir, "a"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	f, err := collect(dir, 4, 10)
	want := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b/c")}
	if err != nil || !slices.Equal(f.paths, want) || f.large != 1 {
		t.Errorf("got %v, %d large, %v; want %v, 1 large", f.paths, f.large, err, want)
	}
	if f, err := collect(dir, 4, 1); err != nil || len(f.paths) != 1 {
		t.Errorf("at most one: %v, %v", f, err)
	}
	if _, err := collect(t.TempDir(), 4, 1); !errors.Is(err, ErrInput) {
		t.Errorf("an empty directory: %v, want ErrInput", err)
	}
	// A file that goes away is left out, and the others are sent instead.
	if err := os.Remove(want[0]); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		if b, err := f.read(n); err != nil || string(b) != "22" {
			t.Errorf("read %d: %q, %v", n, b, err)
		}
	}
}

func TestRunLog(t *testing.T) {
	l := runLog{path: filepath.Join(t.TempDir(), "runs")}
	if r := l.read(); len(r.workers) != 0 {
		t.Errorf("no log yet: %v", r)
	}
	write(t, l.path, "start a 1\nend a 1\nstart b 1\nstart c 2\nstart b 2\nend b 2\nsta")
	r := l.read()
	if held := r.heldBy(1); !slices.Equal(held, []string{"b"}) {
		t.Errorf("held by 1: %v, want b", held)
	}
	if r.repeated() != 1 || r.count(2) != 2 || !r.movedFrom("b", 1) || r.movedFrom("a", 1) {
		t.Errorf("repeated %d, runs of 2 %d, b moved %v, a moved %v; want 1, 2, true, false",
			r.repeated(), r.count(2), r.movedFrom("b", 1), r.movedFrom("a", 1))
	}
}
