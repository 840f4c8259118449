package sim

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestGuarantees holds docs/guarantees.md to its word: every promise is there,
// in order, with something that holds it, and everything it names exists.
func TestGuarantees(t *testing.T) {
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, "docs", "guarantees.md"))
	if err != nil {
		t.Fatal(err)
	}
	doc := string(text)
	for i := 1; i <= 15; i++ {
		row := regexp.MustCompile(fmt.Sprintf(`(?m)^\| G%d \| .* \| simulated.* \|$`, i))
		if !row.MatchString(doc) {
			t.Errorf("G%d is missing, or nothing holds it", i)
		}
	}
	for _, m := range regexp.MustCompile(`\]\(([^)#]+)(?:#[^)]*)?\)`).FindAllStringSubmatch(doc, -1) {
		if _, err := os.Stat(filepath.Join(root, "docs", m[1])); err != nil {
			t.Errorf("dead link: %v", err)
		}
	}
	for _, m := range regexp.MustCompile(`\b(Test[A-Z]\w+)(?:/(\w[\w-]*))?`).FindAllStringSubmatch(doc, -1) {
		if err := exec.Command("grep", "-rqs", "--include=*_test.go", "func "+m[1]+"(", root).Run(); err != nil {
			t.Errorf("no test is called %s", m[1])
		}
		if m[2] == "" {
			continue
		}
		if found, _ := filepath.Glob(filepath.Join(root, "internal", "*", "testdata", m[2]+".txt")); len(found) == 0 {
			t.Errorf("no script is called %s", m[2])
		}
	}
	for _, m := range regexp.MustCompile(`internal/sim/mutants ([a-z-]+)`).FindAllStringSubmatch(doc, -1) {
		if _, err := os.Stat(filepath.Join("mutants", "testdata", m[1]+".txtar")); err != nil {
			t.Errorf("no mutant is called %s", m[1])
		}
	}
	if !strings.Contains(doc, "| lost=0 repeated-runs=0 wrong-reply=0 late-start=0 hung=0 |") {
		t.Error("the newest run on real processes is missing")
	}
}
