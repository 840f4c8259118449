package brokertest_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
)

// An example is a testing.TB without a test around it.
type example struct {
	testing.TB
	cleanups []func()
	failed   []string
}

func newExample() *example { return &example{} }

func (e *example) Helper()                  {}
func (e *example) Context() context.Context { return context.Background() }
func (e *example) Cleanup(f func())         { e.cleanups = append(e.cleanups, f) }

func (e *example) Errorf(format string, args ...any) {
	e.failed = append(e.failed, fmt.Sprintf(format, args...))
}

func (e *example) Fatal(args ...any) {
	e.failed = append(e.failed, fmt.Sprint(args...))
	runtime.Goexit()
}

func (e *example) Fatalf(format string, args ...any) {
	e.Errorf(format, args...)
	runtime.Goexit()
}

// clean runs the cleanups, the last first.
func (e *example) clean() {
	for i := len(e.cleanups) - 1; i >= 0; i-- {
		e.cleanups[i]()
	}
}

// end is what the end of a test does.
func (e *example) end() {
	e.clean()
	for _, f := range e.failed {
		fmt.Println("failed:", f)
	}
}

// fails calls f as a test, and returns what it has failed with.
func fails(f func(*example)) []string {
	e := newExample()
	over := make(chan struct{})
	go func() {
		defer close(over)
		f(e)
	}()
	<-over
	e.clean()
	return e.failed
}
