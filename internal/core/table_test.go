package core

import (
	"os"
	"strings"
	"testing"
)

// TestTransitionsAreDocumented holds the table of legal transitions against
// the one in doc.go, and tries each illegal one.
func TestTransitionsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[[2]string]bool{}
	for _, line := range strings.Split(string(text), "\n") {
		words := strings.Fields(strings.TrimPrefix(line, "//"))
		if strings.HasPrefix(line, "//\t") && len(words) > 2 && isState(words[0]) && isState(words[1]) {
			documented[[2]string{words[0], words[1]}] = true
		}
	}
	for from := range stateNames {
		for to := range stateNames {
			pair := [2]string{stateNames[from], stateNames[to]}
			may := legal[from]&(1<<to) != 0
			if may != documented[pair] {
				t.Errorf("%v: legal %t, documented %t", pair, may, documented[pair])
			}
			if entered := enters(state(from), state(to)); entered != may {
				t.Errorf("%v: legal %t, entered %t", pair, may, entered)
			}
		}
	}
}

func isState(word string) bool {
	for _, s := range stateNames {
		if s == word {
			return true
		}
	}
	return false
}

func enters(from, to state) (ok bool) {
	defer func() { ok = recover() == nil }()
	(&request{was: from}).enter(to)
	return true
}
