package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/privateer-mq/privateer/internal/adminapi"
)

// What a terminal understands.
const (
	ansiHome      = "\x1b[H"
	ansiClear     = "\x1b[2J"
	ansiClearLine = "\x1b[K" // from here to its end
	ansiClearRest = "\x1b[J" // from here down
	ansiHide      = "\x1b[?25l"
	ansiShow      = "\x1b[?25h"
)

type topCommand struct {
	adminFlags

	Interval duration `default:"1s" help:"Time between two pictures."`
	Once     bool     `help:"Print one picture and end; so does a stdout that is no terminal."`
}

// Help is the detailed help.
func (*topCommand) Help() string {
	return `Services that hang or fail are first (see "privateer services --help"), the others sorted by how long their oldest request has waited, workers by how long they have been busy, so that what needs a look is above. "q" or Ctrl-C ends it.

--json prints one picture as an object of the API's status, services and workers.`
}

// Run draws until it is told to end.
func (c *topCommand) Run() error {
	if c.Once || c.JSON || !term.IsTerminal(int(os.Stdout.Fd())) {
		return c.ask(func(ctx context.Context, a *adminapi.Client) error {
			p, err := takePicture(ctx, a)
			if err != nil {
				return err
			}
			return c.show(p, func(w io.Writer) error {
				_, err := io.WriteString(w, strings.Join(p.lines(0), "\n")+"\n")
				return err
			})
		})
	}
	a, err := c.client()
	if err != nil {
		return usage(err)
	}
	ctx, stop := untilSignal(func() {}, func() {})
	defer stop()
	if err = c.live(ctx, a, os.Stdout); ctx.Err() != nil {
		return nil // that is how it ends
	}
	return adminError(ctx, err)
}

// live draws on the terminal. A broker that does not answer at first is an
// error; one that is lost later may come back.
func (c *topCommand) live(ctx context.Context, a *adminapi.Client, w io.Writer) error {
	quiet := sayWaiting(a.Target())
	p, err := takePicture(ctx, a)
	quiet()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if restore := keys(cancel); restore != nil {
		defer restore()
	}
	fmt.Fprint(w, ansiHide+ansiHome+ansiClear)
	defer fmt.Fprint(w, ansiShow+"\r\n")
	seen, note := time.Now(), ""
	draw := func() error {
		width, height := screen()
		if _, err := io.WriteString(w, frame(p.lines(height-1), note, width)); err != nil {
			return &exit{exitFailed, fmt.Errorf("cannot write to stdout: %w", err)}
		}
		return nil
	}
	for {
		if err := draw(); err != nil || !pause(ctx, time.Duration(c.Interval)) {
			return err
		}
		next, err := nextPicture(ctx, a, func() error {
			note = fmt.Sprintf("as it was %s ago: waiting for an answer", human(time.Since(seen)))
			return draw()
		})
		var lost *exit
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &lost):
			return err
		case err != nil:
			note = fmt.Sprintf("as it was %s ago: %s", human(time.Since(seen)), err)
		default:
			p, seen, note = next, time.Now(), ""
		}
	}
}

// nextPicture takes a picture, and calls late each second that it takes.
func nextPicture(ctx context.Context, a *adminapi.Client, late func() error) (*picture, error) {
	type taken struct {
		p   *picture
		err error
	}
	done := make(chan taken, 1)
	go func() {
		p, err := takePicture(ctx, a)
		done <- taken{p, err}
	}()
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case t := <-done:
			return t.p, t.err
		case <-tick.C:
			if err := late(); err != nil {
				return nil, err
			}
		}
	}
}

// frame is what to send to the terminal for one picture. Each line is cut to
// the width and clears what stood there before.
func frame(lines []string, note string, width int) string {
	var b strings.Builder
	b.WriteString(ansiHome)
	for _, l := range append(lines, oneLine(note)) {
		if r := []rune(l); len(r) > width {
			l = string(r[:width])
		}
		b.WriteString(l + ansiClearLine + "\r\n")
	}
	return strings.TrimSuffix(b.String(), "\r\n") + ansiClearRest
}

// screen is the terminal's size, or the usual one if it does not tell.
func screen() (width, height int) {
	width, height, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil || width < 1 || height < 1 {
		return 80, 24
	}
	return width, height
}

// keys calls quit when q, Ctrl-C or Ctrl-D is pressed. restore gives the
// terminal back; nil: stdin is none.
func keys(quit func()) (restore func()) {
	fd := int(os.Stdin.Fd())
	if !term.IsTerminal(fd) {
		return nil
	}
	state, err := term.MakeRaw(fd)
	if err != nil {
		return nil
	}
	go readKeys(os.Stdin, quit)
	return func() { _ = term.Restore(fd, state) } // nothing is left to do about it
}

// readKeys calls quit once: at a key that ends it, or when no more can come.
func readKeys(r io.Reader, quit func()) {
	defer quit()
	for b := make([]byte, 1); ; {
		if n, err := r.Read(b); err != nil || n == 0 {
			return
		}
		switch b[0] {
		case 'q', 'Q', 'c' & 0x1f, 'd' & 0x1f:
			return
		}
	}
}
