// Package endpoint reads the endpoints that links bind and connect to,
// tcp://host:port and ipc:///path, in libzmq's spellings. What both links over
// the network refuse, and how they say it, is here.
package endpoint

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/privateer-mq/privateer/internal/link"
)

// pathBytesMax is the longest path of a Unix socket on Linux.
const pathBytesMax = 107

// Any is what stands for any port, address or path where an endpoint is bound.
const Any = "*"

// A Target is an endpoint that can be bound or connected to.
type Target struct {
	Given    string // as the user wrote it, for errors
	Endpoint string // as libzmq wants it
	TCP      bool
	Host     string // of tcp://, without brackets; Any, or the name of an interface, where that is bound
	Port     string // a number; Any or 0 for any free one, where that is bound
	IPv6     bool   // Host is an IPv6 address
	Path     string // of ipc://; Any; "@name" is in no file system
}

// Parse checks an endpoint for role. Its errors begin with "bind ENDPOINT: " or
// "connect ENDPOINT: " and say what to write instead.
func Parse(role link.Role, given string) (Target, error) {
	t := Target{Given: given, Endpoint: given}
	scheme, rest, ok := strings.Cut(given, "://")
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
		return t, fmt.Errorf("%s %s: %w", role.Verb(), given, err)
	}
	return t, nil
}

func (t *Target) parseTCP(role link.Role, rest string) (err error) {
	t.TCP = true
	if t.Host, t.Port, err = net.SplitHostPort(rest); err != nil {
		return errors.New("write tcp://host:port, an IPv6 host in brackets")
	}
	switch number, err := strconv.ParseUint(t.Port, 10, 16); {
	case t.Port == Any || (err == nil && number == 0):
		if role != link.Router {
			return fmt.Errorf("port %s means any free one and can only be bound: name the port to connect to", t.Port)
		}
	case err != nil:
		return fmt.Errorf("port %q is not a number from 1 to 65535", t.Port)
	}
	if t.IPv6 = strings.HasPrefix(rest, "["); t.IPv6 {
		if address, err := netip.ParseAddr(t.Host); err != nil || !address.Is6() {
			return fmt.Errorf("%q is not an IPv6 address", t.Host)
		}
		t.Endpoint = "tcp://[" + t.Host + "]:" + t.Port
		return nil
	}
	t.Endpoint = "tcp://" + t.Host + ":" + t.Port
	if role == link.Router {
		return checkBindHost(t.Host)
	}
	return checkConnectHost(t.Host)
}

// checkBindHost accepts what libzmq can bind: it resolves no host names.
func checkBindHost(host string) error {
	if host == Any {
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

func (t *Target) parseIPC(role link.Role, rest string) error {
	switch {
	case rest == "" || rest == "@":
		return errors.New("the path is missing: write ipc:///path/to/socket")
	case rest == Any && role != link.Router:
		return errors.New("* means any free path and can only be bound: name the path to connect to")
	case len(rest) > pathBytesMax:
		return fmt.Errorf("the path has %d bytes: the system allows %d", len(rest), pathBytesMax)
	}
	t.Path = rest
	return nil
}

// InFiles reports whether an ipc:// endpoint is a file.
func (t *Target) InFiles() bool {
	return !t.TCP && t.Path != Any && !strings.HasPrefix(t.Path, "@")
}

// RefuseTaken fails if an ipc:// path may not be bound: a file is there that is
// no socket, or a socket on which somebody listens. One that a process has left
// behind may be removed.
func (t *Target) RefuseTaken() error {
	if !t.InFiles() {
		return nil
	}
	info, err := os.Lstat(t.Path)
	if err != nil {
		return nil // nothing there, or bind itself fails with the reason
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("bind %s: a file that is no socket is already there: remove it, or choose another path", t.Given)
	}
	if connection, err := net.Dial("unix", t.Path); err == nil {
		_ = connection.Close()
		return fmt.Errorf("bind %s: address already in use: another process listens there; stop it, or choose another path", t.Given)
	}
	return nil // left behind by a process that is gone
}

// BindError says what the system's error means and what to do. err is wrapped;
// errno is what it is about, 0 if that is not known.
func (t *Target) BindError(err error, errno syscall.Errno) error {
	advice := ""
	switch errno {
	case syscall.EADDRINUSE:
		advice = ": another socket listens there; stop it, or choose another port"
	case syscall.EADDRNOTAVAIL, syscall.ENODEV:
		advice = ": this machine has no such address; write one of its own, or * for all"
	case syscall.EACCES, syscall.EPERM, syscall.EROFS:
		advice = ": not permitted; choose a port from 1024 up, or a directory that this user can write to"
	case syscall.ENOENT:
		advice = ": the directory does not exist; create it first"
	}
	return fmt.Errorf("bind %s: %w%s", t.Given, err, advice)
}
