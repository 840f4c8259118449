package zmqlink

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/privateer-mq/privateer/internal/link"
)

// What is made for ipc://* goes when the link is closed.
func TestAnyPath(t *testing.T) {
	h, err := New()
	if err != nil {
		t.Fatal(err)
	}
	l, err := h.Open(link.Options{Role: link.Router, Endpoints: []string{"ipc://*"}})
	if err != nil {
		t.Fatal(err)
	}
	path := strings.TrimPrefix(l.Addr(), "ipc://")
	if _, err := os.Lstat(path); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	for _, left := range []string{path, filepath.Dir(path)} {
		if _, err := os.Lstat(left); err == nil {
			t.Errorf("%s is left", left)
		}
	}
}
