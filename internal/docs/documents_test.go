package docs

import (
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// box is a copy of the repository in which the documents are played, with
// ./bin/privateer built as they tell.
var box = sync.OnceValues(func() (string, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "privateer-docs-")
	if err != nil {
		return "", err
	}
	boxed = dir
	if err := duplicate(root, dir); err != nil {
		return "", err
	}
	return dir, (&session{box: dir}).foreground("make build")
})

var boxed string

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // they wait more than they work
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if boxed != "" {
		_ = os.RemoveAll(boxed)
	}
	os.Exit(code)
}

func duplicate(from, to string) error {
	return filepath.WalkDir(from, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && skipped[e.Name()] {
			return filepath.SkipDir
		}
		name, err := filepath.Rel(from, file)
		if err != nil {
			return err
		}
		if e.IsDir() {
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		}
		in, err := os.Open(file)
		if err != nil {
			return err
		}
		defer in.Close()
		info, err := in.Stat()
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		out, err := os.OpenFile(filepath.Join(to, name), os.O_CREATE|os.O_WRONLY, info.Mode())
		if err != nil {
			return err
		}
		if _, err := io.Copy(out, in); err != nil {
			return err
		}
		return out.Close()
	})
}

// library reads all documents of the repository.
func library(f *facts) (map[string]*document, error) {
	all := map[string]*document{}
	for name := range f.files {
		if filepath.Ext(name) != ".md" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(f.root, name))
		if err != nil {
			return nil, err
		}
		all[name] = parse(name, string(b))
	}
	return all, nil
}

// TestDocuments checks every document: its links, what its text names, and its
// blocks, which are run in their order.
func TestDocuments(t *testing.T) {
	begin := time.Now()
	dir, err := box()
	if err != nil {
		t.Fatal(err)
	}
	f, err := learn(dir, filepath.Join(dir, "bin/privateer"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := library(f)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 12 || all["README.md"] == nil || all["docs/protocol.md"] == nil {
		t.Fatalf("the documents are not found: %v", slices.Collect(maps.Keys(all)))
	}
	t.Run("all", func(t *testing.T) {
		t.Run("fragments", func(t *testing.T) {
			t.Parallel()
			if err := f.fragments(dir, all); err != nil {
				t.Error(err)
			}
		})
		for name, d := range all {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				for _, wrong := range append(f.claims(d, all), f.play(d, dir)...) {
					t.Error(wrong)
				}
			})
		}
	})
	for _, e := range slices.Concat(notRun, recognised) {
		if _, ok := used.Load(e.line); !ok {
			t.Errorf("no document has what is listed: %s (or %s has no %q)", e.line, e.file, e.proof)
		}
	}
	for line := range wants {
		if _, ok := used.Load(line); !ok {
			t.Errorf("no document has the command %s", line)
		}
	}
	t.Logf("%d documents in %v", len(all), time.Since(begin).Round(time.Second))
}

// fragments compiles all Go blocks that are no files, in one go.
func (f *facts) fragments(box string, all map[string]*document) error {
	var dirs []string
	for _, d := range all {
		for i := range d.blocks {
			if b := &d.blocks[i]; b.kind() == fragment {
				dir, err := source(box, d, b, f.whole(b))
				if err != nil {
					return err
				}
				dirs = append(dirs, "./"+dir)
			}
		}
	}
	if len(dirs) == 0 {
		return nil
	}
	cmd := exec.Command("go", append([]string{"vet"}, dirs...)...)
	cmd.Dir = box
	cmd.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -trimpath")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("a Go block does not compile: %w\n%s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// TestFirstFiveMinutes plays the script of that name, which follows the README
// in a few seconds, on free ports.
func TestFirstFiveMinutes(t *testing.T) {
	dir, err := box()
	if err != nil {
		t.Fatal(err)
	}
	s := &session{box: dir}
	if err := s.foreground("scripts/first-five-minutes . # make demo"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"0.00 s  0.00 s  make demo", "demo: requests=2000 ok=2000 lost=0 wrong=0 repeated=3 recovery_ms=900"} {
		if !s.prints(want) {
			t.Errorf("no line like %q in\n%s", want, strings.Join(s.printed, "\n"))
		}
	}
}

// TestShortPrograms: the first worker and the first client that somebody meets
// are seen at a glance.
func TestShortPrograms(t *testing.T) {
	f, _ := learned(t)
	all, err := library(f)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, b := range all["README.md"].blocks {
		if b.kind() == program {
			if n++; len(b.lines) > 20 {
				t.Errorf("README.md:%d: a program of %d lines; at most 20", b.line, len(b.lines))
			}
		}
	}
	if n < 2 {
		t.Errorf("README.md has %d programs, want a worker and a client", n)
	}
}
