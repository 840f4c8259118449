package doctor

import (
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// folder is one whose path is short enough for a socket.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ipc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestSockets(t *testing.T) {
	dir := folder(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	verify(t, examine(t, Config{Endpoint: "ipc://" + at("none")}, nil), "ipc", "there is no such file", "start the broker")
	if err := os.WriteFile(at("file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	verify(t, examine(t, Config{Endpoint: "ipc://" + at("file")}, nil), "ipc", "no socket", "the broker's log")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: at("left"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	r := examine(t, Config{Endpoint: "ipc://" + at("left")}, nil)
	verify(t, r, "ipc", "nobody listens", "the next one takes it")
	if r.Steps[0].State != Skipped {
		t.Errorf("names were looked up: %+v", r.Steps[0])
	}
}

// Root may do everything: what another user is told is tried on the error alone.
func TestSocketOfAnother(t *testing.T) {
	dir := folder(t)
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	denied := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EACCES)}
	p := &patient{path: path}
	if got := p.noSocket(denied).Error(); got != "this user may not write to it: it is Srw-------" {
		t.Error(got)
	}
	p.path = filepath.Join(path, "s") // as where a folder may not be entered
	if got := p.noSocket(denied).Error(); got != "a folder of its path may not be entered by this user" {
		t.Error(got)
	}
}
