package zmqlink

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/pebbe/zmq4"

	"github.com/privateer-mq/privateer/internal/link"
)

// pathBytesMax is the longest path of a Unix socket on Linux.
const pathBytesMax = 107

// target is an endpoint that libzmq can be given.
type target struct {
	given    string // as the user wrote it, for errors
	endpoint string // as libzmq wants it
	path     string // of ipc://; empty for tcp:// and for names in no file system
	ipv6     bool
}

// parseEndpoint checks an endpoint for role. libzmq's own errors for most of
// these mistakes say "invalid argument" or "no such device", or nothing.
func parseEndpoint(role link.Role, endpoint string) (target, error) {
	t := target{given: endpoint, endpoint: endpoint}
	scheme, rest, ok := strings.Cut(endpoint, "://")
	var err error
	switch {
	case ok && scheme == "tcp":
		err = t.parseTCP(role, rest)
	case ok && scheme == "ipc":
		err = t.parseIPC(role, rest)
	default:
		err = errors.New("it must start with tcp:// or ipc://")
	}
	if err != nil {
		return t, fmt.Errorf("%s %s: %w", role.Verb(), endpoint, err)
	}
	return t, nil
}

func (t *target) parseTCP(role link.Role, rest string) error {
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		return errors.New("write tcp://host:port, an IPv6 host in brackets")
	}
	switch number, err := strconv.ParseUint(port, 10, 16); {
	case port == "*" || (err == nil && number == 0):
		if role != link.Router {
			return fmt.Errorf("port %s means any free one and can only be bound: name the port to connect to", port)
		}
	case err != nil:
		return fmt.Errorf("port %q is not a number from 1 to 65535", port)
	}
	if t.ipv6 = strings.HasPrefix(rest, "["); t.ipv6 {
		if address, err := netip.ParseAddr(host); err != nil || !address.Is6() {
			return fmt.Errorf("%q is not an IPv6 address", host)
		}
		t.endpoint = "tcp://[" + host + "]:" + port
		return nil
	}
	t.endpoint = "tcp://" + host + ":" + port
	if role == link.Router {
		return checkBindHost(host)
	}
	return checkConnectHost(host)
}

// checkBindHost accepts what libzmq can bind: it resolves no host names.
func checkBindHost(host string) error {
	if host == "*" {
		return nil
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	if _, err := net.InterfaceByName(host); err == nil {
		return nil
	}
	return fmt.Errorf("host %q cannot be bound: write an IP address of this machine such as 127.0.0.1, * for all, or the name of a network interface", host)
}

func checkConnectHost(host string) error {
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	if host == "" || strings.ContainsFunc(host, func(r rune) bool { return !isHostRune(r) }) {
		return fmt.Errorf("host %q is neither an IP address nor a host name", host)
	}
	return nil
}

func isHostRune(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return true
	}
	return r == '-' || r == '.' || r == '_'
}

func (t *target) parseIPC(role link.Role, rest string) error {
	switch {
	case rest == "" || rest == "@":
		return errors.New("the path is missing: write ipc:///path/to/socket")
	case rest == "*" && role == link.Router:
		return nil // libzmq makes up a path; Addr tells it
	case rest == "*":
		return errors.New("* means any free path and can only be bound: name the path to connect to")
	case len(rest) > pathBytesMax:
		return fmt.Errorf("the path has %d bytes: the system allows %d", len(rest), pathBytesMax)
	}
	if !strings.HasPrefix(rest, "@") {
		t.path = rest
	}
	return nil
}

// refuseTaken fails if an ipc:// path may not be bound. libzmq removes
// whatever file is there, even the socket of a running broker.
func (t *target) refuseTaken() error {
	if t.path == "" {
		return nil
	}
	info, err := os.Lstat(t.path)
	if err != nil {
		return nil // nothing there, or bind itself fails with the reason
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("bind %s: a file that is no socket is already there: remove it, or choose another path", t.given)
	}
	if connection, err := net.Dial("unix", t.path); err == nil {
		_ = connection.Close()
		return fmt.Errorf("bind %s: address already in use: another process listens there; stop it, or choose another path", t.given)
	}
	return nil // left behind by a process that is gone
}

// bindError says what libzmq's error means and what to do.
func bindError(t target, err error) error {
	advice := ""
	switch zmq4.AsErrno(err) {
	case zmq4.EADDRINUSE:
		advice = ": another socket listens there; stop it, or choose another port"
	case zmq4.EADDRNOTAVAIL, zmq4.Errno(syscall.ENODEV):
		advice = ": this machine has no such address; write one of its own, or * for all"
	case zmq4.Errno(syscall.EACCES), zmq4.Errno(syscall.EPERM), zmq4.Errno(syscall.EROFS):
		advice = ": not permitted; choose a port from 1024 up, or a directory that this user can write to"
	case zmq4.Errno(syscall.ENOENT):
		advice = ": the directory does not exist; create it first"
	}
	return fmt.Errorf("bind %s: %w%s", t.given, err, advice)
}
