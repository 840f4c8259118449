// Thumbnails is a small web service: it takes images from a browser, has workers
// in processes of their own make thumbnails of them, and shows how far they are.
// Without a command it starts all of itself. README.md says what to try.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/rs/zerolog"
)

// service is the name under which workers are asked for thumbnails.
const service = "thumbnails"

type commands struct {
	All    allCommand    `cmd:"" default:"withargs" help:"Start a broker, workers and the web front, each as a process, and start again what ends."`
	Broker brokerCommand `cmd:"" help:"Run the broker alone."`
	Worker workerCommand `cmd:"" help:"Run one worker alone."`
	Web    webCommand    `cmd:"" help:"Run the web front alone."`

	Child bool `hidden:"" help:"Stop when standard input ends."`
}

// logger takes what the libraries have to warn of.
var logger = zerolog.New(zerolog.ConsoleWriter{Out: os.Stderr, NoColor: true}).Level(zerolog.WarnLevel).With().Timestamp().Int("pid", os.Getpid()).Logger()

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c commands
	k := kong.Parse(&c, kong.Name("thumbnails"), kong.Description("Thumbnails of images, made by workers behind a broker."),
		kong.UsageOnError(), kong.BindTo(ctx, (*context.Context)(nil)))
	if c.Child {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin) // ends with the parent, however that ends
			stop()
		}()
	}
	k.FatalIfErrorf(k.Run())
}

// say prints a line about this process. A child's first line says that it is ready.
func say(role, format string, args ...any) {
	fmt.Printf("%s %d: %s\n", role, os.Getpid(), fmt.Sprintf(format, args...))
}
