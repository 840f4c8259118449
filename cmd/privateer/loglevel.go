package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/privateer-mq/privateer/internal/adminapi"
)

// levelOff is what the API calls the level "off".
const levelOff = "disabled"

type logLevelCommand struct {
	adminFlags

	Level string `arg:"" optional:"" help:"The new level: trace, debug, info, warn, error or off."`
}

// Help is the detailed help.
func (*logLevelCommand) Help() string {
	return "Without LEVEL it prints the level that the broker logs at. A broker that is started again has the level of its --log-level."
}

// levels are what a broker can be told.
var levels = []string{"trace", "debug", "info", "warn", "error", "off"}

// Run prints or changes the level.
func (c *logLevelCommand) Run() error {
	if c.Level != "" && !slices.Contains(levels, c.Level) {
		return usage(fmt.Errorf("LEVEL is %s; want one of %s", c.Level, strings.Join(levels, ", ")))
	}
	return c.ask(func(ctx context.Context, a *adminapi.Client) error {
		if c.Level != "" {
			level := c.Level
			if level == "off" {
				level = levelOff
			}
			if err := a.SetLogLevel(ctx, level); err != nil {
				return err
			}
			return c.say("the broker logs at level %s", c.Level)
		}
		l, err := a.LogLevel(ctx)
		if err != nil {
			return err
		}
		return c.show(l, func(w io.Writer) error {
			if l.Level == levelOff {
				l.Level = "off"
			}
			_, err := fmt.Fprintln(w, oneLine(l.Level))
			return err
		})
	})
}
