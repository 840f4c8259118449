// Command privateer is a reliable request-reply queue over ZeroMQ: the broker,
// a worker that runs any program, a client, and a demonstration of the three.
package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/alecthomas/kong"

	"github.com/privateer-mq/privateer/cmd/privateer/internal/proc"
	"github.com/privateer-mq/privateer/cmd/privateer/internal/settings"
)

// The exit codes. For request they say how certain the outcome is.
const (
	exitOK         = 0
	exitFailed     = 1 // it ran and failed
	exitUsage      = 2 // usage, configuration or bind error
	exitMaybe      = 3 // it may have run
	exitNotStarted = 4 // it did not start
)

// commands is the command line.
type commands struct {
	Broker      brokerCommand      `cmd:"" help:"Run a broker: take requests from clients, hand them to workers, lose none."`
	Worker      workerCommand      `cmd:"" help:"Run a worker: answer requests by running a program, once for each."`
	Request     requestCommand     `cmd:"" help:"Send a request, wait for its outcome, and print the reply."`
	Ping        pingCommand        `cmd:"" help:"Ask a broker whether it is there."`
	Demo        demoCommand        `cmd:"" help:"Kill and freeze workers under load, and count what was lost: nothing."`
	Conformance conformanceCommand `cmd:"" help:"Check a broker, worker or client in any language against the protocol document."`
	Doctor      doctorCommand      `cmd:"" help:"Find out, step by step, why a broker cannot be reached or does not serve."`
	Bench       benchCommand       `cmd:"" help:"Measure how fast a broker answers: at full speed, or at a rate."`
	Completion  completionCommand  `cmd:"" help:"Print a script that completes commands and flags in your shell."`
	Version     versionCommand     `cmd:"" help:"Print the version."`

	Admin adminCommands `embed:""`
}

// An exit is an error with the exit code it leads to. Its text may be empty:
// then all has been said.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

// usage makes err an error of the caller: exit 2.
func usage(err error) error { return &exit{exitUsage, err} }

// wrongUsage is usage for a command line that cannot be read. The exit code of
// check is a verdict, and 2 one that this is not.
func wrongUsage(command string, err error) error {
	if command == "check" {
		return &exit{int(unknown), err}
	}
	return usage(err)
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == proc.GuardName { // not for people
		proc.Guard(os.Stdin)
		return
	}
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	if len(args) == 0 {
		return noCommand()
	}
	resolver := settings.New(os.Environ())
	parser, err := newParser(&commands{}, resolver)
	if err != nil {
		return report("", err)
	}
	ctx, err := parser.Parse(asHelp(args))
	if e := (*exit)(nil); errors.As(err, &e) { // the help could not be printed
		return report(commandOf(err), e)
	}
	if err != nil {
		return report(commandOf(err), wrongUsage(commandOf(err), parseError(err)))
	}
	command := ctx.Selected()
	for _, warning := range resolver.Strays(command) {
		say(command.Name, fmt.Sprintf("privateer %s: warning: %s", command.Name, warning))
	}
	return report(command.Name, ctx.Run())
}

// noCommand says which commands there are, on stderr: what was meant is not known.
func noCommand() int {
	fmt.Fprintln(os.Stderr, "privateer: no command given; these are there:")
	fmt.Fprintln(os.Stderr)
	parser, err := newParser(&commands{}, settings.New(nil), kong.Writers(os.Stderr, os.Stderr), kong.Exit(func(int) {}))
	if err != nil {
		return report("", err)
	}
	_, _ = parser.Parse([]string{"--help"}) // kong would have ended there
	return exitUsage
}

// asHelp makes of "help", "help COMMAND" and "--version" what they mean.
func asHelp(args []string) []string {
	switch {
	case len(args) > 0 && args[0] == "help":
		return append(slices.Clone(args[1:]), "--help")
	case len(args) > 0 && args[0] == "--version":
		return append([]string{"version"}, args[1:]...)
	}
	return args
}

func newParser(target any, resolver kong.Resolver, more ...kong.Option) (*kong.Kong, error) {
	return kong.New(target, append(append(rawValues(), more...),
		kong.Name("privateer"),
		kong.Description("A reliable request-reply queue over ZeroMQ."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
		kong.Help(printHelp),
		kong.Resolvers(resolver),
	)...)
}

// How the libraries begin an error, and one about a field of their Config; and
// where a word begins in such a name.
var (
	libraryName   = regexp.MustCompile(`^(broker|worker|client): `)
	libraryField  = regexp.MustCompile(`^(?:Config\.)?([A-Z][A-Za-z]*)(?:\[\d+\])?\b`)
	libraryConfig = regexp.MustCompile(`\bConfig\.[A-Z][A-Za-z]*`) // a field that is named later on
	wordStart     = regexp.MustCompile(`([a-z])([A-Z])`)
)

// asFlag leaves out the library's name, which the command has said already, and
// names the flag where the library names its Config's field. command
// is a pointer to the command's struct, whose fields are named alike.
func asFlag(command any, err error) error {
	text := libraryName.ReplaceAllString(err.Error(), "")
	if m := libraryField.FindStringSubmatch(text); m != nil {
		fields := reflect.TypeOf(command).Elem()
		for _, name := range []string{m[1], strings.TrimSuffix(m[1], "s")} {
			if _, ok := fields.FieldByName(name); ok {
				text = flagOf(name) + strings.TrimPrefix(text, m[0])
				break
			}
		}
	}
	return errors.New(libraryConfig.ReplaceAllStringFunc(text, func(field string) string {
		return flagOf(strings.TrimPrefix(field, "Config."))
	}))
}

// flagOf is the flag for a field of a library's Config.
func flagOf(field string) string {
	return "--" + strings.ToLower(wordStart.ReplaceAllString(field, "$1-$2"))
}

// parseError is what is worth saying of kong's error, with what to do about it.
func parseError(err error) error {
	var file *settings.FileError
	if errors.As(err, &file) {
		return file
	}
	if strings.HasPrefix(err.Error(), "expected one of") {
		return errors.New(`no command given; see "privateer --help"`)
	}
	if strings.Contains(err.Error(), "did you mean") {
		return err
	}
	help := strings.TrimSuffix("privateer "+commandOf(err), " ") + " --help"
	return fmt.Errorf("%w; see %q", err, help)
}

// commandOf is the command that a wrong command line was for, "" if unknown.
func commandOf(err error) string {
	var pe *kong.ParseError
	if errors.As(err, &pe) && pe.Context != nil {
		if node := pe.Context.Selected(); node != nil {
			return node.Name
		}
	}
	return ""
}

// report says in one line what went wrong, and returns the exit code.
func report(command string, err error) int {
	if err == nil {
		return exitOK
	}
	if text := oneLine(err.Error()); text != "" {
		say(command, strings.TrimSuffix("privateer "+command, " ")+": "+text)
	}
	var e *exit
	if errors.As(err, &e) {
		return e.code
	}
	return exitFailed
}

// say writes one line to stderr. Of a daemon it gives up after a moment: a stderr
// that nobody reads must not keep it from its start or its end.
func say(command, line string) {
	said := make(chan struct{})
	go func() {
		defer close(said)
		fmt.Fprintln(os.Stderr, line)
	}()
	if command != "broker" && command != "worker" {
		<-said
		return
	}
	select {
	case <-said:
	case <-time.After(lastLines):
	}
}

// oneLine makes a text safe to print on a line of a terminal: it may come from
// a file or from far away. Signs that cannot be seen, or that turn text around, are
// spelled out: two names that differ must not look the same.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < ' ' || r >= 0x7f && r < 0xa0:
			b.WriteByte(' ')
		case unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp):
			fmt.Fprintf(&b, "\\u{%x}", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
