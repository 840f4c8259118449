package endpoint_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/endpoint"
)

// Who may not write to the file of an ipc endpoint is told which file that is, what
// it is, and what to do. (Root may do all: the error is the system's, made here.)
func TestNotPermitted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	at, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close()
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	target, err := endpoint.Parse(link.Dealer, "ipc://"+path)
	if err != nil {
		t.Fatal(err)
	}
	text := target.ConnectError(&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EACCES)}).Error()
	for _, want := range []string{path, "rw-r-----", "--ipc-mode", "permission denied"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q lacks %q", text, want)
		}
	}
}
