package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// pathMax is what a system takes as the path of a socket, at least.
const pathMax = 103

func checkPath(path string) error {
	switch {
	case path == "" || path == "*" || path == "@":
		return fmt.Errorf("ipc://%s: write ipc:// and the path that the broker's log says it listens at", path)
	case len(path) > pathMax:
		return fmt.Errorf("ipc://%s: the path has %d bytes: a socket's has %d at most", path, len(path), pathMax)
	}
	return nil
}

// ipc connects to a socket of this machine.
func (p *patient) ipc(ctx context.Context) (string, error) {
	began := time.Now()
	nd := net.Dialer{Timeout: max(left(ctx, 1), time.Millisecond)}
	c, err := nd.DialContext(ctx, "unix", p.path)
	if err != nil {
		return "", p.noSocket(err)
	}
	p.conn, p.connTook = c, time.Since(began)
	context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })
	return "connected to " + p.path, nil
}

// noSocket says why there is no connection.
func (p *patient) noSocket(err error) error {
	info, missing := os.Stat(p.path)
	switch {
	case strings.HasPrefix(p.path, "@"):
	case errors.Is(missing, fs.ErrNotExist):
		return &problem{"there is no such file", "start the broker, or write the path where its log says that it listens"}
	case errors.Is(err, syscall.EACCES) && missing != nil:
		return &problem{"a folder of its path may not be entered by this user", "let this user in (chmod o+x), or put the socket elsewhere"}
	case missing == nil && info.Mode()&fs.ModeSocket == 0:
		return &problem{"the file is no socket", "write the path where the broker's log says that it listens"}
	case errors.Is(err, syscall.EACCES):
		return &problem{fmt.Sprintf("this user may not write to it: it is %v", info.Mode()),
			"be its owner or of its group, or give the broker --ipc-mode 0660, or 0666: who may write may connect"}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &problem{"the file is there, and nobody listens", "start the broker: one that was killed leaves its file, and the next one takes it"}
	}
	return &problem{err.Error(), "check the path, and that the broker runs on this machine"}
}
