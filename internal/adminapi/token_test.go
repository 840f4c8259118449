package adminapi

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadToken: what editors put around a token is left out, and what is no token
// is said, where it is.
func TestReadToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	for text, want := range map[string]string{
		"secret-of-sixteen":               "",
		"secret-of-sixteen\n":             "",
		"\ufeff  secret-of-sixteen\r\n\n": "",
		"":                                "is empty",
		"\ufeff\n":                        "is empty",
		"secret\nof-two-lines\n":          "has 2 lines",
		"secret of words":                 "at 7: it must be one word",
		"secr\u00e9t-of-sixteen":          "at 5: it must be one word",
		strings.Repeat("x", 5000):         "larger than 4 KiB",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadToken(path)
		switch {
		case want == "" && (err != nil || got != "secret-of-sixteen"):
			t.Errorf("%.40q: got %q, %v", text, got, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path)):
			t.Errorf("%.40q: got %q, %v, want %q with the path", text, got, err, want)
		}
	}
}
