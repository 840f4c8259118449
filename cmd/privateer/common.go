package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
)

// common are the flags of every command.
type common struct {
	Config    string `placeholder:"FILE" help:"Read flags from this YAML file, one section per command."`
	LogLevel  string `default:"info" enum:"trace, debug, info, warn, error, off" placeholder:"info" help:"Least level that is logged: ${enum}."`
	LogFormat string `default:"auto" enum:"auto, json, console" placeholder:"auto" help:"Format of the log on stderr: ${enum}. auto is console on a terminal, else json."`
}

// logger writes to stderr; stdout belongs to the command.
func (c *common) logger() zerolog.Logger {
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00"
	tty := isatty.IsTerminal(os.Stderr.Fd())
	var w io.Writer = os.Stderr
	if c.LogFormat == "console" || c.LogFormat == "auto" && tty {
		w = zerolog.ConsoleWriter{Out: os.Stderr, NoColor: !tty, TimeFormat: "15:04:05.000"}
	}
	level := zerolog.Disabled
	if c.LogLevel != "off" {
		level, _ = zerolog.ParseLevel(c.LogLevel) // the flag takes no other
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}

// untilSignal returns a context that ends at the first SIGINT or SIGTERM, after
// a call of first. At the second one again is called.
func untilSignal(first, again func()) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
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
			first()
			cancel()
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(over)
		cancel()
	}
}

// sayDraining is what a first signal does to a command that drains.
func sayDraining(log zerolog.Logger) {
	log.Info().Str("state", "signalled").Msg("finishing what is held; a second signal ends at once")
}

// endNow is what a second signal does to a command that drains.
func endNow(log zerolog.Logger) {
	log.Warn().Str("state", "ended").Msg("second signal: ending at once")
	os.Exit(exitFailed)
}

// milliseconds is d with a precision of 0.1 ms.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(100*time.Microsecond)) / float64(time.Millisecond)
}
