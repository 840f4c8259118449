package core

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const timelinesCount = 37

var (
	timelineStart = regexp.MustCompile(`(?m)^(\d+)\. `)
	markdownLink  = regexp.MustCompile(`\]\(([^)#]+)(?:#[^)]*)?\)`)
)

// TestTimelines holds docs/timelines.md to its word: all timelines are there,
// in order, each is a script that one of the machines plays, and no link is
// dead.
func TestTimelines(t *testing.T) {
	docs := filepath.Join("..", "..", "docs")
	text, err := os.ReadFile(filepath.Join(docs, "timelines.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range markdownLink.FindAllSubmatch(text, -1) {
		if _, err := os.Stat(filepath.Join(docs, filepath.FromSlash(string(m[1])))); err != nil {
			t.Errorf("dead link: %v", err)
		}
	}
	starts := timelineStart.FindAllSubmatchIndex(text, -1)
	if len(starts) != timelinesCount {
		t.Errorf("%d timelines, want %d", len(starts), timelinesCount)
	}
	for i, at := range starts {
		if number := string(text[at[2]:at[3]]); number != strconv.Itoa(i+1) {
			t.Errorf("timeline %s stands in place %d", number, i+1)
		}
		end := len(text)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		if !hasScript(text[at[0]:end]) {
			t.Errorf("timeline %d names no script", i+1)
		}
	}
}

// hasScript reports whether text links to a script that TestScripts of one of
// the three machines plays.
func hasScript(text []byte) bool {
	for _, m := range markdownLink.FindAllSubmatch(text, -1) {
		link := string(m[1])
		for _, machine := range []string{"core", "session", "calls"} {
			if strings.HasPrefix(link, "../internal/"+machine+"/testdata/") && strings.HasSuffix(link, ".txt") {
				return true
			}
		}
	}
	return false
}
