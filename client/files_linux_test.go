package client

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A process that may open no more files says so, and not that its broker is away.
func TestTooManyFiles(t *testing.T) {
	f := startFake(t, "tcp://127.0.0.1:0", 7, nil)
	c, err := New(Config{Brokers: []string{f.router.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	none := before
	none.Cur = 3
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	_, err = c.Do(context.Background(), Request{Service: "s", Deadline: 300 * time.Millisecond})
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	var e *Error
	if !errors.As(err, &e) || !strings.HasPrefix(e.Message, "this process has too many open files: raise the limit of open files (ulimit -n") ||
		!strings.Contains(e.Message, "connect tcp://") {
		t.Fatalf("%v", err)
	}
	if _, err = c.Do(context.Background(), Request{Service: "s"}); err != nil {
		t.Error(err)
	}
}
