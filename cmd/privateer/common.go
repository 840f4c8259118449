package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
)

// timeFormat is that of JSON lines.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

var timeOnce sync.Once

// common are the flags of every command.
type common struct {
	Config    string `placeholder:"FILE" help:"Read flags from this YAML file, one section per command."`
	LogLevel  string `default:"info" enum:"trace, debug, info, warn, error, off" placeholder:"info" help:"Least level that is logged: ${enum}."`
	LogFormat string `default:"auto" enum:"auto, json, console" placeholder:"auto" help:"Format of the log on stderr: ${enum}. auto is console on a terminal, else json."`
}

// connects has the flags of every command that opens a socket.
type connects struct {
	Transport string `placeholder:"zmtp" help:"What tcp:// and ipc:// endpoints are reached by: zmtp, in Go, or libzmq, where it is built in."`
}

func isTerminal(f *os.File) bool { return isatty.IsTerminal(f.Fd()) }

// logger writes to stderr; stdout belongs to the command.
func (c *common) logger() zerolog.Logger { return c.loggerTo(os.Stderr, isTerminal(os.Stderr)) }

// loggerTo writes to w, which leads to a terminal or does not.
func (c *common) loggerTo(w io.Writer, terminal bool) zerolog.Logger {
	timeOnce.Do(func() { zerolog.TimeFieldFormat = timeFormat }) // loggers are made beside others
	if c.LogFormat == "console" || c.LogFormat == "auto" && terminal {
		w = zerolog.ConsoleWriter{Out: w, NoColor: !terminal, TimeFormat: "15:04:05.000"}
	}
	level := zerolog.Disabled
	if c.LogLevel != "off" {
		level, _ = zerolog.ParseLevel(c.LogLevel) // the flag takes no other
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}

// toStdout prints, and fails where nobody gets to see it.
func toStdout(text string) error {
	_, err := io.WriteString(os.Stdout, text)
	return notPrinted(err)
}

// notPrinted is the command's error where stdout could not be written.
func notPrinted(err error) error {
	if err == nil {
		return nil
	}
	return &exit{exitFailed, fmt.Errorf("cannot write to stdout: %w", err)}
}

// A checked writer remembers its first error, for what writes and does not look.
type checked struct {
	io.Writer
	err error
}

func (c *checked) Write(b []byte) (int, error) {
	n, err := c.Writer.Write(b)
	if c.err == nil {
		c.err = err
	}
	return n, err
}

// untilSignal returns a context that ends at the first SIGINT or SIGTERM; then
// first is called. At the second one again is called. SIGINT stays ignored where
// the process was started so, as a shell does for what runs in the background.
func untilSignal(first, again func()) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM)
	if !signal.Ignored(os.Interrupt) {
		signal.Notify(signals, os.Interrupt)
	}
	over := make(chan struct{})
	go func() {
		for called := false; ; called = true {
			select {
			case <-signals:
			case <-over:
				return
			}
			if called {
				again()
				return
			}
			cancel()
			first()
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(over)
		cancel()
	}
}

// milliseconds is d with a precision of 0.1 ms.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(100*time.Microsecond)) / float64(time.Millisecond)
}
