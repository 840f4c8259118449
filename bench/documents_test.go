package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The documents as they are take all tables when all was measured, and each
// table has a row for every broker of its scenarios.
func TestWriteDocuments(t *testing.T) {
	root := t.TempDir()
	read := func(file string) string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if err := os.Mkdir(filepath.Join(root, "docs"), 0o700); err != nil {
		t.Fatal(err)
	}
	names := []string{"README.md", "docs/performance.md"}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(root, name), []byte(read(filepath.Join("..", name))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var all []result
	for i := range scenarios {
		all = append(all, measuredOnce(scenarios[i].name))
	}
	if err := writeDocuments(root, all); err != nil {
		t.Fatal(err)
	}
	text := read(filepath.Join(root, names[0])) + read(filepath.Join(root, names[1]))
	for name, b := range blocks {
		_, in, ok := strings.Cut(text, "<!-- bench "+name+" -->\n")
		if !ok {
			t.Errorf("no document has the block %q", name)
			continue
		}
		in, _, _ = strings.Cut(in, "<!-- end -->")
		of, whole := b.results(all)
		if !whole || in != b.text(of) {
			t.Errorf("block %q is\n%s", name, in)
		}
		rows := 0
		for _, r := range of {
			rows += len(r.Peers)
			if b.goals {
				rows += len(r.Verdicts)
			}
		}
		heads := 2
		if b.goals {
			heads = 4
		}
		if got := strings.Count(in, "\n|") + 1; got != rows+heads {
			t.Errorf("block %q has %d rows, want %d\n%s", name, got, rows+heads, in)
		}
	}
	if want := "| go-4x16 | 4×16 → 8×8 | **privateer, all Go** | 500 (250–950) | 0.50 |"; !strings.Contains(text, want) {
		t.Errorf("no %s", want)
	}
	if want := "Measured on 2026-11-30 in 3 rounds (2 cores). In the measured times other programs and machines had 20 % (10 to 40) of the processors."; !strings.Contains(text, want) {
		t.Errorf("no %s", want)
	}
}

// A block stays as it is while one of its scenarios was not measured.
func TestFill(t *testing.T) {
	const text = "before\n<!-- bench lib -->\nold\n<!-- end -->\nbetween\n<!-- bench c, short -->\nold\n<!-- end -->\nafter\n"
	out, n, err := fill(text, []result{measuredOnce("c-4x16"), measuredOnce("lib-do")})
	head, rest, _ := strings.Cut(text, "old\n<!-- end -->\nafter")
	if n != 1 || err != nil || !strings.HasPrefix(out, head+"| load | broker |") || !strings.HasSuffix(out, "<!-- end -->\nafter"+rest) {
		t.Errorf("%d, %v:\n%s", n, err, out)
	}
	if _, _, err := fill("<!-- bench cc -->\n<!-- end -->", nil); err == nil || !strings.Contains(err.Error(), `"cc"`) {
		t.Errorf("a block that there is not: %v", err)
	}
	if err := writeDocuments("..", nil); err == nil || !strings.Contains(err.Error(), "no document has a block") {
		t.Errorf("nothing to write: %v", err)
	}
}
